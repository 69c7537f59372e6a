"""The length-aware safety reward of GuardReasoner-VL."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.training.rewards.batch import Batch, Row, Scores


@dataclass(frozen=True)
class LengthAwareSafety:
    """(r - 1) / min(l, beta)^2 with r = 1 for an admitted, right answer, else 0 (arXiv 2505.11049, RL section).

    l is the length of the reasoning as a share of `longest`. A right answer scores 0 and a wrong one less, the less the
    longer it reasoned, up to beta. The published form diverges at l = 0, hence the floor. What the gate turns away
    scores as the shortest wrong answer, so that rambling excuses nothing. In [-1 / floor^2, 0].

    Raises:
        ValueError: Not 0 < floor <= beta <= 1, or `longest` is not positive.
    """

    beta: float = 1.0
    """1 in the paper's main version, 1/6 in its economical one (with a floor no higher)."""
    floor: float = 0.25
    """The least l that is reckoned with."""
    longest: int = 1500
    """Characters of reasoning that count as 1; the gate's cap."""

    def __post_init__(self) -> None:
        """Check the parameters."""
        if not 0 < self.floor <= self.beta <= 1 or self.longest <= 0:
            raise ValueError(f"{self}: give 0 < floor <= beta <= 1 and a positive `longest`")

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest score."""
        return -1 / self.floor**2, 0.0

    def scores(self, batch: Batch) -> Scores:
        """One score a row."""
        return [0.0 if row.right else -1 / self._length(row) ** 2 for row in batch.rows]

    def _length(self, row: Row) -> float:
        if row.answer is None:
            return self.floor
        return max(self.floor, min(len(row.answer.think) / self.longest, self.beta))
