"""Model folders on this machine: there, complete, safetensors only, with the labels that the profile names."""

from __future__ import annotations

import json
import struct
from collections.abc import Iterator
from math import prod
from pathlib import Path
from typing import Any

from generators.weights import weights_folder
from pipelines.checkup.findings import Finding, Status, gigabytes
from pipelines.checkup.references import Loader, ModelUse

CONFIGS: dict[Loader, str] = {
    "open_clip": "open_clip_config.json",
    "classifier": "config.json",
    "judge": "config.json",
    "language": "config.json",
    "diffusers": "model_index.json",
}
"""The file that each of our loaders opens first."""
PICKLED = (".bin", ".pt", ".pth", ".ckpt", ".pkl")
TEMPLATES = ("chat_template.jinja", "chat_template.json")
LONGEST_HEADER = 100_000_000
"""Bytes; as safetensors itself."""


class BrokenFolderError(ValueError):
    """A model's folder lacks something; the message says what."""


def examine_folder(use: ModelUse) -> Finding:
    """How the folder of one local model stands."""
    try:
        folder = local_folder(use)
        size = sum(parameters(path) for path in weight_files(folder))
        check_config(use, _json(folder / CONFIGS[use.loader]))
        _check_template(use, folder)
        warning = _pickles(folder)
    except (OSError, ValueError) as error:
        todo = "correct `path`, or save the model again with safetensors and its processor or tokenizer"
        return Finding("models", use.key, Status.MISSING, str(error), todo)
    said = f"{use.settings.path}: {size / 1e6:,.1f} million parameters"
    if warning:
        return Finding(
            "models", use.key, Status.WARNING, f"{said}; {warning}", "delete them: nothing reads them"
        )
    return Finding("models", use.key, Status.OK, said)


def local_folder(use: ModelUse) -> Path:
    """The folder, with its configuration and whole weights.

    Raises:
        BrokenFolderError: The configuration or a part of the weights is missing.
        OSError: There is no such folder, or it holds no safetensors.
    """
    if use.loader == "diffusers":
        folder = Path(use.settings.path).expanduser()
        if not weight_files(folder):
            raise BrokenFolderError(f"{use.settings.path} holds no .safetensors in its parts")
    else:
        folder = weights_folder(use.settings.path, use.settings.revision)
    if not (folder / CONFIGS[use.loader]).is_file():
        raise BrokenFolderError(f"{use.settings.path} holds no {CONFIGS[use.loader]}")
    missing = sorted(_missing_shards(folder))
    if missing:
        raise BrokenFolderError(f"{use.settings.path} is not complete: {', '.join(missing[:3])} missing")
    return folder


def weight_files(folder: Path) -> list[Path]:
    """All safetensors of a folder and its parts, without those that a loader leaves aside."""
    found = sorted(folder.rglob("*.safetensors"))
    preferred = [path for path in found if path.name.startswith("open_clip_")]
    return preferred or found


def parameters(path: Path) -> int:
    """How many numbers a safetensors file holds, by its header.

    Raises:
        BrokenFolderError: The file is cut off, or no safetensors file.
    """
    size = path.stat().st_size
    with path.open("rb") as file:
        start = file.read(8)
        length = struct.unpack("<Q", start)[0] if len(start) == 8 else size
        if length > min(size - 8, LONGEST_HEADER):
            raise BrokenFolderError(f"{path} is cut off, or no safetensors file")
        header = json.loads(file.read(length))
    tensors = [entry for name, entry in header.items() if name != "__metadata__"]
    end = max((entry["data_offsets"][1] for entry in tensors), default=0)
    if size < 8 + length + end:
        raise BrokenFolderError(f"{path} is cut off: {gigabytes(size)} of {gigabytes(8 + length + end)}")
    return sum(prod(entry["shape"]) for entry in tensors)


def check_config(use: ModelUse, config: dict[str, Any]) -> None:
    """Check what a configuration says against the profile.

    Raises:
        BrokenFolderError: A classifier lacks a label that the profile names.
    """
    if use.loader != "classifier":
        return
    known = list((config.get("id2label") or {0: "LABEL_0", 1: "LABEL_1"}).values())
    lacking = [label for label in use.labels if label not in known]
    if lacking:
        raise BrokenFolderError(
            f"{use.settings.path} has no label {', '.join(map(repr, lacking))}; its labels are {', '.join(known)}"
        )


def _check_template(use: ModelUse, folder: Path) -> None:
    if use.loader not in ("judge", "language") or any((folder / name).is_file() for name in TEMPLATES):
        return
    if not _json(folder / "tokenizer_config.json").get("chat_template"):
        raise BrokenFolderError(f"{use.settings.path} has no chat template; take an instruct model")


def _missing_shards(folder: Path) -> Iterator[str]:
    for index in folder.rglob("*.safetensors.index.json"):
        names = set(_json(index).get("weight_map", {}).values())
        yield from (name for name in names if not (index.parent / name).is_file())


def _pickles(folder: Path) -> str:
    found = sorted(path.name for path in folder.rglob("*") if path.suffix in PICKLED)
    return f"pickled weights beside the safetensors: {', '.join(found[:3])}" if found else ""


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        raise BrokenFolderError(f"there is no {path}")
    data = json.loads(path.read_text(encoding="utf-8"))
    if not isinstance(data, dict):
        raise BrokenFolderError(f"{path} holds no JSON object")
    return data
