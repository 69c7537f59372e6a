"""Emergence: how much more harm an image and a text mean together than either does alone. Pure functions."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple

from schemas.config import Select
from schemas.records import Candidate, Judgement

CLIP = 1e-4
"""Probabilities are clipped to [CLIP, 1 - CLIP], the precision they are stored with, before the logit."""


def logit(p: float) -> float:
    """Log odds of a probability, after clipping."""
    p = min(max(p, CLIP), 1 - CLIP)
    return math.log(p / (1 - p))


def emergence(p_image: float, p_text: float, p_joint: float) -> float:
    """logit(p_joint) - max(logit(p_image), logit(p_text)), rounded to 4 decimals."""
    return round(logit(p_joint) - max(logit(p_image), logit(p_text)), 4)


def judgement_of(
    candidate: Candidate, p_image: float, p_text: float, p_joint: float, judge: str
) -> Judgement:
    """Round the probabilities, then derive the emergence from what is stored, so a reader can redo it."""
    p_image, p_text, p_joint = (round(p, 4) for p in (p_image, p_text, p_joint))
    return Judgement(candidate, p_image, p_text, p_joint, emergence(p_image, p_text, p_joint), judge)


def parts_are_benign(judgement: Judgement, config: Select) -> bool:
    """Whether image and text are each benign alone, to the judge."""
    return max(judgement.p_image, judgement.p_text) <= config.max_alone


def is_emergent(judgement: Judgement, config: Select) -> bool:
    """Whether the pair means harm that neither part means."""
    return (
        parts_are_benign(judgement, config)
        and judgement.p_joint >= config.min_joint
        and judgement.emergence >= config.min_emergence
    )


def is_benign(judgement: Judgement, config: Select) -> bool:
    """Whether the pair is benign.

    Its parts are held to the same cap as those of an emergent pair, not to a lower one: else a part's own
    probability would tell the classes apart.
    """
    return parts_are_benign(judgement, config) and judgement.p_joint <= config.max_benign


class Yield(NamedTuple):
    """How many of the candidates that one method proposed are emergent."""

    judged: int
    emergent: int

    @property
    def share(self) -> float:
        """Emergent among judged, 0 if nothing was judged."""
        return self.emergent / self.judged if self.judged else 0.0


def yields(judgements: Iterable[Judgement], config: Select) -> dict[str, Yield]:
    """Count judged and emergent candidates by method, methods in alphabetical order."""
    counts: dict[str, Yield] = {}
    for judgement in judgements:
        method = judgement.candidate.method
        judged, emergent = counts.get(method, Yield(0, 0))
        counts[method] = Yield(judged + 1, emergent + is_emergent(judgement, config))
    return dict(sorted(counts.items()))
