"""Rationale quality of a model: one number a harmful pair and measure, for those that have a reference."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.training.embedders import Embedder
from pipelines.training.evaluation.bootstrap import Floats, Measure
from pipelines.training.evaluation.meaning import entailments, similarities
from pipelines.training.evaluation.measures import mean_of
from pipelines.training.evaluation.opinion import opinions
from pipelines.training.evaluation.predictions import Prediction
from pipelines.training.evaluation.wording import named, names_both, rouge_l
from pipelines.training.examples import Example
from schemas.config import Endpoint


class Readers(NamedTuple):
    """The models that read rationales, as far as any are given."""

    embed: Embedder | None = None
    entail: Callable[[Sequence[str], Sequence[str]], Floats] | None = None
    judge: Endpoint | None = None


class Quality(NamedTuple):
    """Measures of rationales, each over the rows of the predictions; NaN for rows that do not count."""

    scores: dict[str, Floats]
    notes: dict[str, int]
    """What went wrong in asking a judge, and how often."""

    def measures(self) -> dict[str, Measure]:
        """The mean of each over the rows that count."""
        return {name: mean_of(values) for name, values in self.scores.items()}


def rationale_quality(rows: Sequence[Prediction], examples: Sequence[Example], readers: Readers) -> Quality:
    """Measure the rationales of harmful pairs; a missing one counts 0, so that silence is not rewarded.

    Args:
        rows: Of one model.
        examples: The pairs of the rows, in the same order.
        readers: What reads them beside the words themselves.
    """
    compared = np.array([bool(example.references) for example in examples])
    chosen = np.flatnonzero(compared)
    said = [rows[n].rationale for n in chosen]
    pairs = [examples[n] for n in chosen]
    references = [pair.references for pair in pairs]
    found = {"rouge_l": np.array([rouge_l(*both) for both in zip(said, references, strict=True)])}
    notes: dict[str, int] = {}
    if readers.embed is not None:
        found["similarity"] = similarities(readers.embed, said, references)
    if readers.entail is not None:
        found["entailment"] = entailments(readers.entail, said, references)
    if readers.judge is not None:
        found["judged"], notes = opinions(readers.judge, said, pairs)
    scores = {name: _spread(values, chosen, len(rows)) for name, values in found.items()}
    return Quality(scores | _grounding([row.rationale for row in rows], examples), notes)


def reference_grounding(examples: Sequence[Example]) -> dict[str, Floats]:
    """Grounding of the preferred references themselves, (n,) each: what a model can be expected to reach."""
    return _grounding([example.references[0] if example.references else "" for example in examples], examples)


def _grounding(said: Sequence[str], examples: Sequence[Example]) -> dict[str, Floats]:
    """1 where a rationale names the image, the text, both; NaN where there is no reference, or nothing is known."""
    found = np.full((3, len(examples)), np.nan)
    for number, (rationale, example) in enumerate(zip(said, examples, strict=True)):
        if example.references and example.image_says:
            names = bool(named(rationale, example.image_says)), bool(named(rationale, example.text_says))
            found[:, number] = *names, names_both(rationale, example.image_says, example.text_says)
    return dict(zip(("names_image", "names_text", "grounding"), found, strict=True))


def _spread(values: Floats, chosen: npt.NDArray[np.intp], size: int) -> Floats:
    spread = np.full(size, np.nan)
    spread[chosen] = values
    return spread
