"""A cost with a Lagrange multiplier: missed harm is kept under a limit, apart from what is rewarded."""

from __future__ import annotations

from dataclasses import dataclass, field

from pipelines.training.rewards.batch import Batch, Row, Scores


@dataclass
class Multiplier:
    """The weight of the cost; it rises while the mean cost is above the limit, and falls while it is below.

    Raises:
        ValueError: A parameter is out of its range.
    """

    limit: float = 0.1
    """The mean cost that is allowed."""
    rate: float = 0.1
    """How far the multiplier moves per step and unit of excess."""
    highest: float = 10.0
    value: float = 1.0
    _costs: list[float] = field(default_factory=list, repr=False)

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.rate <= 0 or not 0 <= self.value <= self.highest or self.limit < 0:
            raise ValueError(f"{self}: give a positive rate, a limit of 0 or more, and 0 <= value <= highest")

    def observe(self, costs: list[float]) -> None:
        """Take note of the costs of a batch."""
        self._costs += costs

    def forget(self) -> None:
        """Drop what was observed since the last step, as after an evaluation."""
        self._costs.clear()

    def ascend(self) -> float:
        """One step of dual ascent on what was observed since the last, over all processes; returns the new value.

        value <- clip(value + rate * (mean cost - limit), 0, highest). Nothing observed, nothing moved.
        """
        total, count = _over_processes(sum(self._costs), len(self._costs))
        self.forget()
        if count:
            moved = self.value + self.rate * (total / count - self.limit)
            self.value = min(self.highest, max(0.0, moved))
        return self.value


@dataclass(frozen=True)
class Cost:
    """-multiplier * cost, the second term of Safe RLHF-V's Lagrangian (arXiv 2503.17682).

    The limit is left out, since it is the same for all answers to an example. What the gate turns away costs as much as
    the dearest mistake, and a right answer nothing. In [-highest * dearest, 0].

    Raises:
        ValueError: A cost is negative, or both are 0.
    """

    multiplier: Multiplier = field(default_factory=Multiplier)
    missed: float = 1.0
    """Cost of calling harm benign."""
    alarm: float = 0.0
    """Cost of calling something benign harmful."""

    def __post_init__(self) -> None:
        """Check the costs."""
        if min(self.missed, self.alarm) < 0 or not self._dearest:
            raise ValueError("costs must not be negative, and one of them must be positive")

    @property
    def _dearest(self) -> float:
        return max(self.missed, self.alarm)

    @property
    def bounds(self) -> tuple[float, float]:
        """The dearest mistake at the highest multiplier, and 0."""
        return -self.multiplier.highest * self._dearest, 0.0

    def scores(self, batch: Batch) -> Scores:
        """One score a row; the multiplier takes note of the costs."""
        costs = [self._cost(row) for row in batch.rows]
        self.multiplier.observe(costs)
        batch.log("cost/mean", sum(costs) / max(1, len(costs)))
        batch.log("cost/multiplier", self.multiplier.value)
        return [0.0 - self.multiplier.value * cost for cost in costs]

    def _cost(self, row: Row) -> float:
        if row.answer is None:
            return self._dearest
        if row.right:
            return 0.0
        return self.missed if row.harmful else self.alarm


def _over_processes(total: float, count: int) -> tuple[float, int]:
    import torch

    if not (torch.distributed.is_available() and torch.distributed.is_initialized()):
        return total, count
    device = "cuda" if torch.cuda.is_available() else "cpu"
    both = torch.tensor([total, count], dtype=torch.float64, device=device)
    torch.distributed.all_reduce(both)
    return float(both[0]), int(both[1])
