"""A length penalty for every kind of answer."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.training.rewards.batch import Batch, Row, Scores


@dataclass(frozen=True)
class LengthPenalty:
    """0 for reasoning of a fit length, falling linearly to -1 at no length and at the cap.

    After the generalised length penalty of HARMO (arXiv 2510.05283): a term of its own that knows nothing of the task
    and keeps rewards by model from being won by length. The window is ours. What the gate turns away scores -1.
    In [-1, 0].

    Raises:
        ValueError: Not 0 < least <= most < longest.
    """

    least: int = 40
    """Characters of reasoning below which it is too short."""
    most: int = 600
    """Characters above which it is too long."""
    longest: int = 1500
    """Characters where the penalty is full; the gate's cap."""

    bounds = (-1.0, 0.0)

    def __post_init__(self) -> None:
        """Check the window."""
        if not 0 < self.least <= self.most < self.longest:
            raise ValueError(f"{self}: give 0 < least <= most < longest")

    def scores(self, batch: Batch) -> Scores:
        """One score a row."""
        return [self._score(row) for row in batch.rows]

    def _score(self, row: Row) -> float:
        if row.answer is None:
            return -1.0
        length = len(row.answer.think)
        short = (self.least - length) / self.least
        long = (length - self.most) / (self.longest - self.most)
        return -min(1.0, max(0.0, short, long))
