"""Where a model runs and in which precision, and that a process holds its weights once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any, TypeVar
from weakref import WeakValueDictionary

from schemas.config import Model

Loaded = TypeVar("Loaded")


class NoGpuError(ValueError):
    """A profile asks for a GPU that torch does not find."""


def device_of(model: Model) -> str:
    """The torch device of a model: `cpu`, or `cuda` if it is asked for, or there and not ruled out.

    Raises:
        NoGpuError: It is asked for and not there.
    """
    import torch

    if model.device == "cuda" and not torch.cuda.is_available():
        raise NoGpuError(f"{model.path}: `device` is cuda, but torch finds no GPU; set it to auto")
    return "cuda" if model.device != "cpu" and torch.cuda.is_available() else "cpu"


def placed(module: Any, model: Model) -> Any:
    """A loaded module on its device, in its precision, for inference."""
    import torch

    return module.to(device_of(model), getattr(torch, model.dtype)).eval()


_held: WeakValueDictionary[tuple[str, ...], Any] = WeakValueDictionary()
_loading = threading.Lock()


def held_once(folder: str, model: Model, load: Callable[[], Loaded]) -> Loaded:
    """What `load` makes of a folder, once in a process for each device and precision, for as long as it is in use.

    A judge that also writes rationales, or an encoder of both images and texts, needs its weights once.
    """
    key = (load.__qualname__, folder, device_of(model), model.dtype)
    with _loading:
        loaded = _held.get(key)
        if loaded is None:
            loaded = _held[key] = load()
        return loaded


def accelerated(module: Any) -> bool:
    """Whether a loaded module computes elsewhere than on the CPU."""
    return bool(next(module.parameters()).device.type != "cpu")


def concatenated(inputs: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """The tensors of several inputs, each with the same names, one after the other along their first dimension."""
    import torch

    return {name: torch.cat([one[name] for one in inputs]) for name in inputs[0]}


def moved(inputs: Mapping[str, Any], module: Any) -> dict[str, Any]:
    """Tensors of a batch on the module's device; those of floating point in its precision."""
    import torch

    first = next(module.parameters())

    def move(value: Any) -> Any:
        if not isinstance(value, torch.Tensor):
            return value
        return value.to(first.device, first.dtype if value.is_floating_point() else None)

    return {name: move(value) for name, value in inputs.items()}
