"""How much likelier a model finds the right reasoning than the perturbed one, before and after training, by kind."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from pathlib import Path
from statistics import fmean, stdev
from typing import Any, NamedTuple

import datasets

from pipelines.training.chains import chain_of
from pipelines.training.dpo import as_strings
from pipelines.training.evaluation.tables import Table
from pipelines.training.examples import load_examples, spelled_out
from pipelines.training.policy import REFERENCE
from pipelines.training.scenealign.pairs import preferences
from pipelines.training.scenealign.reading import Graphs


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
        reference: The model before training; None for a model with adapters, which holds what it had before.
        processor: Of both.
        rows: `Preferences.rows`, of pictures that were not trained on.
        batch_size: Pairs of one forward pass.
    """
    after = log_ratios(model, processor, rows, batch_size)
    with _as_before(model) if reference is None else nullcontext():
        before = log_ratios(model if reference is None else reference, processor, rows, batch_size)
    kinds = list(rows["kind"])
    return {
        kind: _margin([(a, b) for a, b, k in zip(before, after, kinds, strict=True) if k == kind])
        for kind in sorted(set(kinds))
    }


@contextmanager
def _as_before(model: Any) -> Iterator[None]:
    """A model of peft's as it was before training: with the copy that TRL made of its adapters, or without any."""
    if REFERENCE not in model.peft_config:
        with model.disable_adapter():
            yield
        return
    model.set_adapter(REFERENCE)
    try:
        yield
    finally:
        model.set_adapter("default")


def unseen_margins(
    trainer: Any, dataset: Path, graphs: Mapping[str, Graphs], limit: int, batch_size: int = 8
) -> dict[str, dict[str, Margin]]:
    """Split to kind to margin, of what a trainer of `dpo_trainer` has made of its model.

    Args:
        trainer: After its training.
        dataset: The folder of a dataset.
        graphs: Scene graphs of splits of which nothing was learned, as of `read_graphs`.
        limit: Examples of a split, evenly drawn from its rows; 0 takes all.
        batch_size: Pairs of one forward pass.
    """
    processor = trainer.processing_class
    found = {}
    for split, seen in graphs.items():
        examples = spelled_out(load_examples(dataset, split), processor.tokenizer)
        chosen = range(0, len(examples), max(1, -(-len(examples) // limit)) if limit else 1)
        rows = preferences(dataset, split, chain_of, examples=examples.select(chosen), graphs=seen).rows
        if len(rows):
            found[split] = margins(trainer.model, trainer.ref_model, processor, rows, batch_size)
    return found


def margin_table(found: Mapping[str, Mapping[str, Margin]]) -> Table:
    """A line a split and kind of perturbation."""
    head = ["unseen scenes, perturbation", "pairs", "before", "after", "rise", "right is likelier"]
    lines = [
        [
            f"{split}, {kind}",
            *(str(one.pairs), f"{one.before:.2f}", f"{one.after:.2f}"),
            f"{one.after - one.before:+.2f} ± {one.error:.2f}",
            f"{one.right_before:.0%} -> {one.right_after:.0%}",
        ]
        for split, kinds in found.items()
        for kind, one in kinds.items()
    ]
    return Table("log p(right) - log p(perturbed), in nats", head, lines)


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
