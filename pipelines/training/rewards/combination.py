"""Several rewards as one, such that every one of them has to hold."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp, log1p
from typing import NamedTuple

from pipelines.training.rewards.batch import Batch, Reward, Scores


class Part(NamedTuple):
    """A reward and the score of a reference answer by it."""

    reward: Reward
    reference: float
    """What counts as good enough: far above it more is worth hardly anything, below it every bit counts."""


@dataclass(frozen=True)
class LogSigmoid:
    """The sum of log sigmoid(sharpness (r - r_ref)) over the parts (arXiv 2402.00742, transforming and combining).

    The sum of logarithms acts as a logical and. Rewards in [0, 1] are flat under the sigmoid, hence the sharpness; 1 is
    the published form. A part that has no score for a row is left out there; None where none has. At most 0.

    Raises:
        ValueError: There are no parts, or the sharpness is not positive.
    """

    parts: tuple[Part, ...]
    sharpness: float = 1.0

    def __post_init__(self) -> None:
        """Check the parts."""
        if not self.parts or self.sharpness <= 0:
            raise ValueError("a combination needs at least one part and a positive sharpness")

    @property
    def bounds(self) -> tuple[float, float]:
        """All parts at their lowest, and 0."""
        return sum(self._term(part.reward.bounds[0], part) for part in self.parts), 0.0

    def scores(self, batch: Batch) -> Scores:
        """One score a row."""
        columns = [self._column(part, batch) for part in self.parts]
        return [_sum(row) for row in zip(*columns, strict=True)]

    def _column(self, part: Part, batch: Batch) -> Scores:
        scores = part.reward.scores(batch)
        return [None if score is None else self._term(score, part) for score in scores]

    def _term(self, score: float, part: Part) -> float:
        return _log_sigmoid(self.sharpness * (score - part.reference))


def _log_sigmoid(value: float) -> float:
    return min(value, 0.0) - log1p(exp(-abs(value)))


def _sum(terms: Sequence[float | None]) -> float | None:
    known = [term for term in terms if term is not None]
    return sum(known) if known else None
