"""The verdict reward: harmful or benign?"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.training.rewards.batch import Batch, Scores


@dataclass(frozen=True)
class Verdict:
    """1 for an admitted answer with the right verdict, else 0.

    It is GuardReasoner-VL's product of format and accuracy (arXiv 2505.11049): nothing is read out of a completion
    that the gate turns away.
    """

    bounds = (0.0, 1.0)

    def scores(self, batch: Batch) -> Scores:
        """One score a row."""
        return [float(row.right) for row in batch.rows]
