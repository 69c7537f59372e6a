"""Model weights on this machine: a packaged, local or hub reference to a folder, and to what identifies it.

Nothing but safetensors, configuration and tokenizer files is fetched, and never without a pinned revision.
"""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from generators.hub import FETCHED, fetched_snapshot
from schemas.config import BUILTIN


class ModelMissingError(FileNotFoundError):
    """A model's folder does not exist or holds no safetensors; the message says what to do."""


def is_local(path: str) -> bool:
    """Whether a model ships with the package or lies in a folder, rather than on the hub."""
    return path.startswith((BUILTIN, "/", ".", "~")) or Path(path).is_dir()


def weights_folder(path: str, revision: str) -> Path:
    """The local folder of a model; a hub id is downloaded at its pinned revision.

    Raises:
        ModelMissingError: There is no such folder, or it holds no safetensors.
        HubError: It is neither in the cache of the hub nor can it be fetched.
    """
    if path.startswith(BUILTIN):
        folder = _builtin_folder(path)
    elif is_local(path):
        folder = Path(path).expanduser()
    else:
        folder = fetched_snapshot(path, revision)
    if not any(folder.glob("*.safetensors")):
        raise ModelMissingError(f"{path}: {folder} holds no .safetensors; is the path right?")
    return folder


def weights_identity(path: str, revision: str) -> str:
    """What tells the weights from all others: the digest of a local folder, or hub id and revision."""
    return folder_digest(str(weights_folder(path, revision))) if is_local(path) else f"{path}@{revision}"


def weights_name(path: str, revision: str) -> str:
    """What written rows call a model: no path of this machine, but its folder's name and a digest's start."""
    if not is_local(path):
        return f"{path}@{revision}"
    folder = weights_folder(path, revision)
    return f"{folder.resolve().name}@{folder_digest(str(folder))[:12]}"


@lru_cache
def folder_digest(folder: str) -> str:
    """Over the names and contents of the files that a loader reads, so notes and caches beside them do not count."""
    whole = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and any(path.match(pattern) for pattern in FETCHED):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()


def _builtin_folder(path: str) -> Path:
    world, _, name = path.removeprefix(BUILTIN).partition("/")
    try:
        return Path(str(files(f"generators.{world}"))) / "weights" / name
    except ModuleNotFoundError:
        raise ModelMissingError(f"{path}: no world {world!r} ships with the package") from None
