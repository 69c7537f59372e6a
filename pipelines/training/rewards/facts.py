"""The atomic-fact reward: how much of what is in the picture does the answer state?"""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.training.rewards.batch import Batch, Row, Scores
from pipelines.training.rewards.evidence import Fact, facts_of, named


@dataclass(frozen=True)
class FactHits:
    """The share of a picture's atomic facts that reasoning or rationale states, after Perception-R1 (2506.07218).

    A fact is what a caption names with a run of content words, and stated if all of these occur outside of copies.
    Of several captions the one counts that the answer covers best, since they tell the same in other words. Right and
    wrong verdicts are paid alike, as in the paper: it is about seeing. None where nothing is known of the picture.
    In [0, 1].
    """

    bounds = (0.0, 1.0)

    def scores(self, batch: Batch) -> Scores:
        """One score a row."""
        return [self._score(row) for row in batch.rows]

    def _score(self, row: Row) -> float | None:
        captions = [facts for saying in row.example.image_says if (facts := facts_of(saying))]
        if not captions:
            return None
        if row.answer is None:
            return 0.0
        stems = named(f"{row.answer.think}\n{row.answer.answer.rationale}", row.example)
        return max(_share(facts, stems) for facts in captions)


def _share(facts: tuple[Fact, ...], stems: frozenset[str]) -> float:
    return sum(fact <= stems for fact in facts) / len(facts)
