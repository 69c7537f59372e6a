"""From a profile's model reference to a local folder and a fingerprint; nothing but safetensors is fetched."""

from __future__ import annotations

import hashlib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path

from schemas.config import BUILTIN, Model

FETCHED = ["*.safetensors", "*.safetensors.index.json", "*.json", "*.txt", "*.model", "*.jinja"]


class ModelMissingError(FileNotFoundError):
    """A model's folder does not exist or holds no safetensors; the message says what to do."""


def model_folder(model: Model) -> Path:
    """The local folder of a model; a hub id is downloaded at its pinned revision (safetensors only).

    Raises:
        ModelMissingError: There is no such folder, or it holds no safetensors.
    """
    if model.path.startswith(BUILTIN):
        folder = _builtin_folder(model.path)
    elif _is_local(model):
        folder = Path(model.path).expanduser()
    else:
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(model.path, revision=model.revision, allow_patterns=FETCHED))
    if not any(folder.glob("*.safetensors")):
        raise ModelMissingError(f"{model.path}: {folder} holds no .safetensors; is the path right?")
    return folder


def fingerprint(kind: str, model: Model, *settings: str) -> str:
    """sha256 (hex) over the kind of handler, the weights, the batch shape and whatever else decides a result.

    A local model counts by the content of its files and a hub model by its pinned revision; neither where a
    copy lies nor the number of threads makes a difference.
    """
    weights = _digest(str(model_folder(model))) if _is_local(model) else f"{model.path}@{model.revision}"
    precision = () if model.dtype == "float32" else (model.dtype,)
    parts = (kind, weights, str(model.batch_size), *precision, *settings)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


def _is_local(model: Model) -> bool:
    starts = model.path.startswith((BUILTIN, "/", ".", "~"))
    return starts or Path(model.path).is_dir()


def _builtin_folder(path: str) -> Path:
    world, _, name = path.removeprefix(BUILTIN).partition("/")
    try:
        return Path(str(files(f"generators.{world}"))) / "weights" / name
    except ModuleNotFoundError:
        raise ModelMissingError(f"{path}: no world {world!r} ships with the package") from None


@lru_cache
def _digest(folder: str) -> str:
    """Over the names and contents of the files that a loader reads, so notes and caches beside them do not count."""
    whole = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file() and any(path.match(pattern) for pattern in FETCHED):
            with path.open("rb") as file:
                content = hashlib.file_digest(file, "sha256").hexdigest()
            whole.update(f"{path.relative_to(folder).as_posix()}\0{content}\n".encode())
    return whole.hexdigest()
