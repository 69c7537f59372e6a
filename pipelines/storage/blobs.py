"""The blob store: immutable bytes under their sha256, in files that many processes may write at once."""

from __future__ import annotations

import hashlib
import os
import re
import uuid
from pathlib import Path

_ID = re.compile(r"[0-9a-f]{64}")


class BlobStore:
    """Content-addressed files below one directory, `ab/abcdef...` each; pickles to its path.

    A blob appears under its name only once it is complete, so a killed process leaves at most a `.part` file.

    Args:
        root: The directory; it is made with the first blob.
    """

    def __init__(self, root: str | os.PathLike[str]) -> None:
        self.root = Path(root)

    def put(self, data: bytes) -> str:
        """Store bytes and return their id, the sha256 in hex; what is there already is not written."""
        id = hashlib.sha256(data).hexdigest()
        path = self.path(id)
        if not _has_size(path, len(data)):
            _write_atomically(path, data)
        return id

    def get(self, id: str) -> bytes:
        """Read a blob.

        Raises:
            KeyError: It is not stored.
            ValueError: The id is not 64 lower-case hex digits.
        """
        try:
            return self.path(id).read_bytes()
        except FileNotFoundError:
            raise KeyError(f"blob {id} is not stored; was the work directory changed or cleaned?") from None

    def path(self, id: str) -> Path:
        """Where a blob is, or would be; ValueError if the id is not 64 lower-case hex digits."""
        if not _ID.fullmatch(id):
            raise ValueError(f"not a blob id (64 lower-case hex digits): {id!r}")
        return self.root / id[:2] / id

    def __contains__(self, id: object) -> bool:
        return isinstance(id, str) and bool(_ID.fullmatch(id)) and self.path(id).is_file()


def _has_size(path: Path, size: int) -> bool:
    """Whether a file is there in full: a power cut can leave a renamed file shorter than it was."""
    try:
        return path.stat().st_size == size
    except FileNotFoundError:
        return False


def _write_atomically(path: Path, data: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name[:16]}-{uuid.uuid4().hex}.part")
    try:
        with temporary.open("xb") as file:
            file.write(data)
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
