"""The training set as the mechanisms that change it want it: counterfactual copies first, then the mixture."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.training.mechanisms.mixtures import draw
from pipelines.training.mechanisms.settings import Mechanisms

if TYPE_CHECKING:
    from datasets import Dataset


def prepared(examples: Dataset, mechanisms: Mechanisms, dataset: Path, split: str) -> Dataset:
    """Examples with what `counterfactuals` and `mixture` ask for; the same ones if both are off.

    Args:
        examples: As `load_examples` gives them, with further columns such as `prompt` or without.
        mechanisms: What is on.
        dataset: The folder that the examples are of, where regions are looked up.
        split: Of the examples.

    Raises:
        ValueError: The mixture gives a weight to a domain that has no rows.
    """
    if mechanisms.counterfactuals:
        from pipelines.training.mechanisms.counterfactuals import with_counterfactuals
        from pipelines.training.regions import masks_of

        share = mechanisms.counterfactuals.share
        examples = with_counterfactuals(examples, masks_of(dataset, split), share)
    if mechanisms.mixture:
        mixture = mechanisms.mixture
        examples = examples.select(draw(examples[mixture.by], mixture.weights, mixture.size))
    return examples
