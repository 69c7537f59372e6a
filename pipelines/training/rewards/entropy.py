"""The conditional decision entropy reward of ExPO-HM: sure where right, unsure where wrong."""

from __future__ import annotations

from dataclasses import dataclass
from math import log2

from pipelines.training.rewards.batch import Batch, Row, Scores
from pipelines.training.rewards.verdicts import VerdictModel, ask

WEIGHTS = {"verdict": 0.9, "format": 0.1, "entropy": 0.2}
"""What the paper gives accuracy, format and this reward."""


@dataclass(frozen=True)
class DecisionEntropy:
    """How well the policy's entropy of the verdict, given the reasoning, suits an answer (arXiv 2510.08630).

    The entropy h is in bits. A right answer scores 1 up to h = `sure`, falling linearly to 0 at `right_unsure`; a wrong
    one 0 up to `sure`, rising linearly to 1 at `wrong_unsure`. What the gate turns away scores 0. By the paper's
    weights a wrong answer, however unsure, earns less than any right one. In [0, 1].

    Raises:
        ValueError: Not 0 <= sure < right_unsure, wrong_unsure <= 1.
    """

    policy: VerdictModel
    sure: float = 0.15
    right_unsure: float = 0.60
    wrong_unsure: float = 0.85

    bounds = (0.0, 1.0)

    def __post_init__(self) -> None:
        """Check the entropies."""
        if not 0 <= self.sure < min(self.right_unsure, self.wrong_unsure) <= 1:
            raise ValueError("give 0 <= sure < right_unsure, wrong_unsure <= 1")

    def scores(self, batch: Batch) -> Scores:
        """One score a row; the policy is asked once, about every admitted answer."""
        admitted = [at for at, row in enumerate(batch.rows) if row.answer is not None]
        harms = ask(self.policy, [batch.rows[at] for at in admitted])
        scores: Scores = [0.0] * len(batch.rows)
        entropies = [entropy(harm) for harm in harms]
        for at, bits in zip(admitted, entropies, strict=True):
            scores[at] = self._score(batch.rows[at], bits)
        if entropies:
            batch.log("entropy/bits", sum(entropies) / len(entropies))
        return scores

    def _score(self, row: Row, bits: float) -> float:
        if row.right:
            return _clipped((self.right_unsure - bits) / (self.right_unsure - self.sure))
        return _clipped((bits - self.sure) / (self.wrong_unsure - self.sure))


def entropy(probability: float) -> float:
    """The entropy in bits of a decision with this probability of one of two outcomes, 0 to 1."""
    outcomes = (probability, 1 - probability)
    return -sum(p * log2(p) for p in outcomes if p > 0) + 0.0


def _clipped(value: float) -> float:
    return min(1.0, max(0.0, value))
