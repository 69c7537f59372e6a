"""The rationale reward: does it mean what people wrote?"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from pipelines.training.embedders import Embedder
from pipelines.training.rewards.batch import Batch, Scores


@dataclass(frozen=True)
class Rationale:
    """Cosine similarity of a right answer's rationale to the nearest of the example's references.

    The best of several, since one reference would punish other valid reasons. 0 for wrong verdicts and whatever the
    gate turns away; None where there are no references, as for benign pairs. In [0, 1].
    """

    embedder: Embedder
    chance: float = 0.0
    """The similarity that unrelated rationales have: it and less scores 0, and the rest is stretched to [0, 1]."""

    bounds = (0.0, 1.0)

    def __post_init__(self) -> None:
        """Check the similarity of chance."""
        if not 0 <= self.chance < 1:
            raise ValueError(f"`chance` is {self.chance}, but must be at least 0 and below 1")

    def scores(self, batch: Batch) -> Scores:
        """One score a row; every text is embedded once."""
        scores: Scores = [0.0 if row.example.references else None for row in batch.rows]
        pairs = {
            index: (row.answer.answer.rationale, row.example.references)
            for index, row in enumerate(batch.rows)
            if row.answer and row.right and row.example.references and row.answer.answer.rationale
        }
        texts = sorted({text for own, references in pairs.values() for text in (own, *references)})
        if not texts:
            return scores
        vectors = dict(zip(texts, np.asarray(self.embedder(texts), dtype=np.float64), strict=True))
        for index, (own, references) in pairs.items():
            best = max(float(vectors[own] @ vectors[reference]) for reference in references)
            scores[index] = float(np.clip((best - self.chance) / (1 - self.chance), 0, 1))
        return scores
