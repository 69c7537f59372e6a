"""The format reward: is the completion an answer at all?"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.training.rewards.batch import Batch, Scores


@dataclass(frozen=True)
class Format:
    """1 for a completion that the gate admits, right or wrong, else 0 (after GuardReasoner-VL, arXiv 2505.11049)."""

    bounds = (0.0, 1.0)

    def scores(self, batch: Batch) -> Scores:
        """One score a row."""
        return [float(row.answer is not None) for row in batch.rows]
