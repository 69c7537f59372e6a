"""Whether verdicts follow the evidence: inputs from which something is hidden, and how many verdicts change with it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image

from pipelines.training.evaluation.answering import Question
from pipelines.training.evaluation.bootstrap import Measure
from pipelines.training.evaluation.items import Item
from pipelines.training.evaluation.measures import mean_of
from pipelines.training.evaluation.predictions import Prediction
from pipelines.training.regions import GREY, masked
from schemas.reasoning import BENIGN, HARMFUL


def whole(item: Item) -> Question:
    """The pair as it is."""
    return Question(item.example.text, item.picture())


def image_only(item: Item) -> Question:
    """The image beside an empty text."""
    return Question("", item.picture())


def text_only(item: Item) -> Question:
    """The text beside a grey image of the same size."""
    return Question(item.example.text, Image.new("RGB", item.picture().size, GREY))


def without_evidence(item: Item) -> Question:
    """The text beside the image with its evidence in grey; the whole image where it is not known where that is."""
    if item.masks is None:
        return text_only(item)
    return Question(item.example.text, masked(item.picture(), item.masks.evidence))


def without_something_else(item: Item) -> Question:
    """The text beside the image with as much in grey elsewhere.

    Raises:
        ValueError: It is not known where its evidence is.
    """
    if item.masks is None:
        raise ValueError(f"{item.example.id}: it is not known where in the image the evidence is")
    return Question(item.example.text, masked(item.picture(), item.masks.elsewhere))


def is_asked_again(row: Prediction) -> bool:
    """Whether masking says something of a row: it is harmful, and was called so."""
    return row.expected == row.verdict == HARMFUL


def change_measures(rows: Sequence[Prediction]) -> dict[str, Measure]:
    """The shares of rightly harmful verdicts that turn benign without the evidence, and without something else.

    Of pairs whose region is known, the second should be low where the first is high. `masked_changes_image` is of
    those whose region is not known, whose image is grey as a whole.
    """
    known = [row.masked if row.region_known else None for row in rows]
    unknown = [None if row.region_known else row.masked for row in rows]
    changed = {
        "masked_changes": known,
        "control_changes": [row.control for row in rows],
        "masked_changes_image": unknown,
    }
    return {
        name: mean_of(np.array([_turned(verdict) for verdict in found])) for name, found in changed.items()
    }


def _turned(verdict: str | None) -> float:
    return np.nan if verdict is None else float(verdict == BENIGN)
