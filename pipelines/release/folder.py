"""A release to a folder, or to any address that fsspec knows, read back and compared like one on the Hub."""

from __future__ import annotations

import hashlib
import io
import shutil
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO

from pipelines.release.contents import ReleaseError, ReleaseFile
from pipelines.release.publish import require_ours

PART = ".part"


def copy_release(address: str, files: Sequence[ReleaseFile], advance: Callable[[int], object]) -> None:
    """Copy what is not there yet, and compare all of it with what is read back.

    Args:
        address: A folder, or an address such as `s3://bucket/name`.
        files: The release.
        advance: Is told how many bytes are over.

    Raises:
        ReleaseError: The place holds other content, cannot be written, or keeps other bytes than it was given.
    """
    from fsspec.core import url_to_fs

    try:
        system, root = url_to_fs(address)
        found = _digests(system, root)
        require_ours(address, files, found)
        for file in files:
            if found.get(file.path) != file.sha256:
                _copy(system, f"{root}/{file.path}", file)
            advance(file.size)
        there = _digests(system, root)
    except (ImportError, OSError, ValueError) as error:
        raise ReleaseError(f"writing to {address} failed: {error}") from error
    if wrong := [file.path for file in files if there.get(file.path) != file.sha256]:
        raise ReleaseError(f"{len(wrong)} files differ in {address}, the first: {wrong[0]}")


def _digests(system: Any, root: str) -> dict[str, str | None]:
    """Path below the root to sha256; leftovers of a copy that was cut off do not count."""
    found: dict[str, str | None] = {}
    if not system.exists(root):
        return found
    system.invalidate_cache()
    for path in system.find(root):
        relative = str(path)[len(root.rstrip("/")) + 1 :]
        if not relative.endswith(PART):
            with system.open(path, "rb") as file:
                found[relative] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def _copy(system: Any, path: str, file: ReleaseFile) -> None:
    """Copy one file under another name and rename it, so that a name stands for the whole content."""
    temporary = f"{path}{PART}"
    system.makedirs(path.rsplit("/", 1)[0], exist_ok=True)
    with _opened(file) as source, system.open(temporary, "wb") as target:
        shutil.copyfileobj(source, target)
    with suppress(FileNotFoundError):
        system.rm(path)
    system.mv(temporary, path)


def _opened(file: ReleaseFile) -> BinaryIO:
    return io.BytesIO(file.content) if isinstance(file.content, bytes) else Path(file.content).open("rb")
