"""The model that is trained: loaded from a folder, a run or a hub id, whole or with low-rank adapters."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any, NamedTuple

from generators.weights import ModelMissingError, weights_folder

ADAPTER = "adapter_config.json"
ADAPTER_WEIGHTS = "adapter_model.safetensors"
REFERENCE = "ref"
"""What TRL calls the copy of adapters that a model came with."""
TOWERS = ("vision_tower", "visual")
"""What transformers calls the image tower of a model."""


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


def load_policy(path: str, dtype: str, revision: str = "", *, keep_adapters: bool = False) -> Policy:
    """Load a model to be trained or asked.

    Args:
        path: A folder, a run, `builtin:...`, or a hub id.
        dtype: Of the weights, as torch names it.
        revision: The commit of a hub id.
        keep_adapters: Leave adapters of an earlier run apart, to go on training them; else they are merged.

    Raises:
        ModelMissingError: There is no such model, or its adapters are no safetensors.
        ValueError: It has no chat template.
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = policy_folder(path, revision)
    processor = AutoProcessor.from_pretrained(str(folder), padding_side="left")
    if not processor.chat_template:
        raise ValueError(f"{path} has no chat template, so it cannot be asked anything")
    adapter = folder / ADAPTER
    base = _base_of(folder) if adapter.is_file() else folder
    model: Any = AutoModelForImageTextToText.from_pretrained(
        str(base), dtype=getattr(torch, dtype), use_safetensors=True
    )
    if adapter.is_file():
        from peft import PeftModel

        model = PeftModel.from_pretrained(model, str(folder), is_trainable=keep_adapters)
        model = model if keep_adapters else model.merge_and_unload()
    return Policy(model, processor)


def is_adapter(path: str) -> bool:
    """Whether a local model is adapters on another one."""
    return any((folder / ADAPTER).is_file() for folder in (Path(path), Path(path) / "model"))


def has_adapters(model: Any) -> bool:
    """Whether a model is one of peft's."""
    return hasattr(model, "peft_config")


def _base_of(folder: Path) -> Path:
    if not (folder / ADAPTER_WEIGHTS).is_file():
        raise ModelMissingError(
            f"{folder} holds adapters without {ADAPTER_WEIGHTS}; other formats are not read"
        )
    config = json.loads((folder / ADAPTER).read_text(encoding="utf-8"))
    return weights_folder(config["base_model_name_or_path"], config.get("revision") or "")


def freeze_vision(model: Any) -> int:
    """Keep the image tower from training; returns how many parameters that are.

    Raises:
        ValueError: The model has no image tower where transformers keeps it.
    """
    towers = [part for name, part in model.named_modules() if name.split(".")[-1] in TOWERS]
    if not towers:
        raise ValueError(f"{type(model).__name__} has no {' or '.join(TOWERS)}, so nothing can be frozen")
    towers[0].requires_grad_(False)
    return sum(parameter.numel() for parameter in towers[0].parameters())
