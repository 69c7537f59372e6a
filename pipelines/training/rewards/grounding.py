"""The grounding reward: does the rationale name evidence of both modalities?"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.training.rewards.batch import Batch, Row, Scores
from pipelines.training.rewards.evidence import image_share, named, text_share


@dataclass(frozen=True)
class Grounding:
    """How far a right answer's rationale names something in the picture, times how far it names what the text does.

    A rationale that speaks of one modality alone gets nothing. What it copies from prompt or text (five words in a row
    or more) names nothing. Words are compared by their stems, so a synonym is not seen; of captions and references that
    say the same in different words, the best counts. None for benign pairs, whose answers need no rationale. In [0, 1].
    """

    text_words: int = 2
    """Content words of the text, or of what references say about it, that count as naming it fully."""

    bounds = (0.0, 1.0)

    def scores(self, batch: Batch) -> Scores:
        """One score a row."""
        return [self._score(row) if row.harmful else None for row in batch.rows]

    def _score(self, row: Row) -> float:
        if row.answer is None or not row.right:
            return 0.0
        stems = named(row.answer.answer.rationale, row.example)
        return image_share(stems, row.example) * text_share(stems, row.example, self.text_words)
