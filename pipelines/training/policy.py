"""The model that is trained: loaded from a folder, a run or a hub id, whole or with low-rank adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from generators.weights import weights_folder

ADAPTER = "adapter_config.json"


class Policy(NamedTuple):
    """A vision-language model with its processor, which pads on the left."""

    model: Any
    processor: Any


def policy_folder(path: str, revision: str = "") -> Path:
    """The local folder of a model: of a run its `model/`, else as everywhere, with safetensors only.

    Raises:
        ModelMissingError: There is no such folder, or it holds no safetensors.
    """
    inside = Path(path) / "model"
    return (
        inside if (Path(path) / "run.json").is_file() and inside.is_dir() else weights_folder(path, revision)
    )


def load_policy(path: str, dtype: str, revision: str = "") -> Policy:
    """Load a model to be trained or asked; adapters of an earlier run are merged into it.

    Args:
        path: A folder, a run, `builtin:...`, or a hub id.
        dtype: Of the weights, as torch names it.
        revision: The commit of a hub id.

    Raises:
        ModelMissingError: There is no such model.
        ValueError: It has no chat template.
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = policy_folder(path, revision)
    processor = AutoProcessor.from_pretrained(str(folder), padding_side="left")
    if not processor.chat_template:
        raise ValueError(f"{path} has no chat template, so it cannot be asked anything")
    adapter = folder / ADAPTER
    base = _base_of(adapter) if adapter.is_file() else folder
    model = AutoModelForImageTextToText.from_pretrained(
        str(base), dtype=getattr(torch, dtype), use_safetensors=True
    )
    if adapter.is_file():
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(folder)).merge_and_unload()
    return Policy(model, processor)


def _base_of(adapter: Path) -> Path:
    config = json.loads(adapter.read_text(encoding="utf-8"))
    return weights_folder(config["base_model_name_or_path"], config.get("revision") or "")


def freeze_vision(model: Any) -> int:
    """Keep the image tower from training; returns how many parameters that are.

    Raises:
        ValueError: The model has no image tower where transformers keeps it.
    """
    towers = [
        part for name, part in model.named_modules() if name.split(".")[-1] in ("vision_tower", "visual")
    ]
    if not towers:
        raise ValueError(f"{type(model).__name__} has no vision_tower or visual, so nothing can be frozen")
    towers[0].requires_grad_(False)
    return sum(parameter.numel() for parameter in towers[0].parameters())
