"""How much likelier a model finds the right reasoning than the perturbed one, before and after training, by kind."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import nullcontext
from statistics import fmean, stdev
from typing import Any, NamedTuple

import datasets

from pipelines.training.dpo import as_strings


class Margin(NamedTuple):
    """Over the pairs of one kind of perturbation."""

    pairs: int
    before: float
    """Mean of log p(right) - log p(perturbed) under the reference model, in nats of whole completions."""
    after: float
    """The same under the trained model."""
    error: float
    """Standard error of the mean rise, `after - before`; 0 for a single pair."""
    right_before: float
    """Share of the pairs whose right reasoning the reference model finds likelier, 0 to 1."""
    right_after: float
    """The same for the trained model."""


def margins(
    model: Any, reference: Any, processor: Any, rows: datasets.Dataset, batch_size: int = 8
) -> dict[str, Margin]:
    """The margins of a trained model and of its reference, by kind of perturbation, in alphabetical order.

    Args:
        model: The trained model.
        reference: The model before training; None for a model with adapters, whose reference is without them.
        processor: Of both.
        rows: `Preferences.rows`, of pictures that were not trained on.
        batch_size: Pairs of one forward pass.
    """
    after = log_ratios(model, processor, rows, batch_size)
    with model.disable_adapter() if reference is None else nullcontext():
        before = log_ratios(model if reference is None else reference, processor, rows, batch_size)
    kinds = list(rows["kind"])
    return {
        kind: _margin([(a, b) for a, b, k in zip(before, after, kinds, strict=True) if k == kind])
        for kind in sorted(set(kinds))
    }


def _margin(pairs: Sequence[tuple[float, float]]) -> Margin:
    before, after = zip(*pairs, strict=True)
    rises = [b - a for a, b in pairs]
    error = stdev(rises) / len(rises) ** 0.5 if len(rises) > 1 else 0.0
    right = [fmean(value > 0 for value in side) for side in (before, after)]
    return Margin(len(pairs), fmean(before), fmean(after), error, right[0], right[1])


def log_ratios(model: Any, processor: Any, rows: datasets.Dataset, batch_size: int = 8) -> list[float]:
    """log p(chosen) - log p(rejected) of every row, given picture and prompt, in nats; dropout is off."""
    import torch
    from trl.trainer.dpo_trainer import DataCollatorForVisionPreference

    collate = DataCollatorForVisionPreference(processor)
    written = as_strings(rows, processor).select_columns(["image", "prompt", "chosen", "rejected"])
    training = model.training
    model.eval()
    ratios: list[float] = []
    with torch.inference_mode():
        for start in range(0, len(written), batch_size):
            stop = min(start + batch_size, len(written))
            batch = collate([written[place] for place in range(start, stop)])
            chosen, rejected = _log_probabilities(model, batch).chunk(2)
            ratios += (chosen - rejected).tolist()
    model.train(training)
    return ratios


def _log_probabilities(model: Any, batch: Any) -> Any:
    """Of each completion of a batch, summed over its tokens: shape (2 * pairs,)."""
    import torch

    inputs = {name: value.to(model.device) for name, value in batch.items()}
    mask = inputs.pop("completion_mask")[:, 1:]
    logits = model(**inputs, use_cache=False).logits[:, :-1]
    told = inputs["input_ids"][:, 1:]
    each = -torch.nn.functional.cross_entropy(logits.transpose(1, 2).float(), told, reduction="none")
    return (each * mask).sum(dim=1)
