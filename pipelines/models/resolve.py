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
        world, _, name = model.path.removeprefix(BUILTIN).partition("/")
        folder = Path(str(files(f"generators.{world}"))) / "weights" / name
    elif Path(model.path).expanduser().is_dir() or model.path.startswith(("/", ".", "~")):
        folder = Path(model.path).expanduser()
    else:
        from huggingface_hub import snapshot_download

        folder = Path(snapshot_download(model.path, revision=model.revision, allow_patterns=FETCHED))
    if not any(folder.glob("*.safetensors")):
        raise ModelMissingError(f"{model.path}: {folder} holds no .safetensors; is the path right?")
    return folder


def fingerprint(kind: str, model: Model, *settings: str) -> str:
    """sha256 (hex) over the kind of handler, the weights, the batch shape and whatever else decides a result."""
    hub = not model.path.startswith(BUILTIN) and bool(model.revision)
    weights = f"{model.path}@{model.revision}" if hub else _digest(str(model_folder(model)))
    parts = (kind, weights, str(model.batch_size), *settings)
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()


@lru_cache
def _digest(folder: str) -> str:
    whole = hashlib.sha256()
    for path in sorted(Path(folder).rglob("*")):
        if path.is_file():
            with path.open("rb") as file:
                whole.update(
                    f"{path.relative_to(folder)}\0{hashlib.file_digest(file, 'sha256').hexdigest()}\n".encode()
                )
    return whole.hexdigest()
