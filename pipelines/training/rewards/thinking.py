"""The thinking reward of SophiaVL-R1, with its trust and its annealing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import exp

from pipelines.training.rewards.batch import Batch, Scores
from pipelines.training.rewards.thinkers import ThinkingScorer


@dataclass(frozen=True)
class Thinking:
    """weight * exp(-step / decay) * trust * (the scorer's mark for the reasoning), after arXiv 2505.17018.

    The trust in a group of answers to one example is 1 if the right ones are marked at least as high as the wrong ones
    on average, else exp(mean of the right - mean of the wrong). A group that is all right or all wrong cannot tell,
    and gets `untold` (the released code: nothing). What the gate turns away scores 0 and counts neither way.
    In [0, weight].

    Raises:
        ValueError: A parameter is out of its range.
    """

    scorer: ThinkingScorer
    weight: float = 0.3
    decay: float = 500.0
    """Optimiser steps in which the reward falls to 1/e."""
    untold: float = 0.0
    """Trust in a group that cannot tell, 0 to 1."""

    def __post_init__(self) -> None:
        """Check the parameters."""
        if self.weight <= 0 or self.decay <= 0 or not 0 <= self.untold <= 1:
            raise ValueError("give a positive `weight` and `decay`, and `untold` in [0, 1]")

    @property
    def bounds(self) -> tuple[float, float]:
        """Nothing, and the weight."""
        return 0.0, self.weight

    def scores(self, batch: Batch) -> Scores:
        """One score a row; None where the scorer gave no mark."""
        admitted = [at for at, row in enumerate(batch.rows) if row.answer is not None]
        marks = dict(zip(admitted, self.scorer([batch.rows[at] for at in admitted]), strict=True))
        scores: Scores = [0.0] * len(batch.rows)
        strength = self.weight * exp(-batch.step / self.decay)
        trusts = []
        for group in batch.groups:
            known = {at: mark for at in group if (mark := marks.get(at)) is not None}
            trust = self._trust(
                [mark for at, mark in known.items() if batch.rows[at].right],
                [mark for at, mark in known.items() if not batch.rows[at].right],
            )
            trusts.append(trust)
            for at in group:
                if at in marks:
                    mark = marks[at]
                    scores[at] = None if mark is None else strength * trust * mark
        batch.log("thinking/trust", sum(trusts) / max(1, len(trusts)))
        return scores

    def _trust(self, right: Sequence[float], wrong: Sequence[float]) -> float:
        if not right or not wrong:
            return self.untold
        return min(1.0, exp(sum(right) / len(right) - sum(wrong) / len(wrong)))
