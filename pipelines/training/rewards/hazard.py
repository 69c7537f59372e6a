"""The hazard reward: which kind of harm?"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.training.rewards.batch import Batch, Scores


@dataclass(frozen=True)
class Hazard:
    """1 for the right hazard of a harmful pair, else 0; None for benign pairs and where the hazard is not known."""

    bounds = (0.0, 1.0)

    def scores(self, batch: Batch) -> Scores:
        """One score a row."""
        return [
            float(row.right and row.answer is not None and row.answer.answer.hazard == row.example.hazard)
            if row.harmful and row.example.hazard
            else None
            for row in batch.rows
        ]
