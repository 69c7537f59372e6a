"""The verdict of an ensemble: all members' scores of one asset in, the score that excludes it out, or None."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import fmean
from typing import Literal, NamedTuple

from schemas.records import Score

MEAN = "mean"
"""The member's name of the score that the rule `mean` fires with."""
Rule = Literal["any", "mean"]


class Firing(NamedTuple):
    """A member's score that reached its threshold."""

    score: Score
    threshold: float


def first_firing(scores: Sequence[Score], thresholds: Sequence[float]) -> Firing | None:
    """The member with the highest score among those that reach their thresholds (the first of equals)."""
    firing = [Firing(s, t) for s, t in zip(scores, thresholds, strict=True) if s.p >= t]
    return max(firing, key=lambda f: f.score.p, default=None)


def mean_firing(scores: Sequence[Score], threshold: float) -> Firing | None:
    """The mean of the members' scores, rounded to 4 decimals, if it reaches the threshold; of none, None."""
    if not scores:
        return None
    mean = Score(MEAN, round(fmean(score.p for score in scores), 4))
    return Firing(mean, threshold) if mean.p >= threshold else None


def verdict(
    scores: Sequence[Score], thresholds: Sequence[float], rule: Rule, mean_threshold: float
) -> Firing | None:
    """The score that excludes an asset, or None if the asset is kept.

    Args:
        scores: One score a member, each in [0, 1].
        thresholds: One threshold a member, in the same order; only `any` reads them.
        rule: `any`: a member that reaches its threshold excludes. `mean`: the mean of all members excludes, so
            that one unsure member does not decide alone.
        mean_threshold: What the mean must reach; only `mean` reads it.

    Raises:
        ValueError: The rule is `any`, and there are not as many thresholds as scores.
    """
    return first_firing(scores, thresholds) if rule == "any" else mean_firing(scores, mean_threshold)
