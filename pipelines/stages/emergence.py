"""Emergence: how much more harm an image and a text mean together than either does alone. Pure functions."""

from __future__ import annotations

import math
from typing import Protocol

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


class Scored(Protocol):
    """Whatever carries a judge's three probabilities and the emergence: a `Judgement`, or a written row."""

    @property
    def p_image(self) -> float: ...
    @property
    def p_text(self) -> float: ...
    @property
    def p_joint(self) -> float: ...
    @property
    def emergence(self) -> float: ...


def parts_are_benign(scored: Scored, config: Select) -> bool:
    """Whether image and text are each benign alone, to the judge."""
    return max(scored.p_image, scored.p_text) <= config.max_alone


def is_emergent(scored: Scored, config: Select) -> bool:
    """Whether the pair means harm that neither part means."""
    enough = scored.p_joint >= config.min_joint and scored.emergence >= config.min_emergence
    return parts_are_benign(scored, config) and enough


def is_benign(scored: Scored, config: Select) -> bool:
    """Whether the pair is benign.

    Its parts are held to the same cap as those of an emergent pair, not to a lower one: else a part's own
    probability would tell the classes apart.
    """
    return parts_are_benign(scored, config) and scored.p_joint <= config.max_benign
