"""How stages ask models: questions in batches through the cache, and a failed inference as a row."""

from __future__ import annotations

from typing import Any

import apache_beam as beam

from pipelines.calibration import NEUTRAL, Scaling
from pipelines.models.judge import Question
from pipelines.storage.cache import InferenceError, decode_floats
from schemas.records import Failed, ImageAsset, Modality, TextAsset, said_by

__all__ = ["Asset", "Question", "failed", "in_batches", "probability", "question_key"]

BATCH = 512
"""Elements a stage hands to its models at once; it bounds memory, not the models' own batch size."""

Asset = ImageAsset | TextAsset


def question_key(image_id: str, text_id: str) -> str:
    """The cache key of a question by the ids of its parts; an absent part is an empty id."""
    return f"{image_id}+{text_id}"


def in_batches() -> Any:
    """Collect elements into lists of up to `BATCH`, inside the bundle and without a shuffle."""
    return beam.BatchElements(min_batch_size=BATCH, max_batch_size=BATCH)


def probability(result: bytes, scaling: Scaling = NEUTRAL) -> float:
    """Read the one probability that a screener or judge returns, calibrated, and rounded as it is stored."""
    (p,) = decode_floats(result)
    return round(scaling.of(float(p)), 4)


def failed(error: InferenceError, modality: Modality, id: str, name: str, stage: str) -> Failed:
    """The row of an element whose inference raised."""
    return Failed(modality, id, name, stage, type(error.cause).__name__, said_by(error.cause))
