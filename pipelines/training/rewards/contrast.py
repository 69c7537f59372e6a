"""The contrast reward: is the whole contrast set right?"""

from __future__ import annotations

from dataclasses import dataclass
from math import prod

from pipelines.training.rewards.batch import Batch, Scores


@dataclass(frozen=True)
class Contrast:
    """The probability that a right answer, joined by a random answer to each partner, makes all members right.

    That is 1 or 0 for the answer itself, times the share of right answers among each partner's generations in the
    batch. It has the mean of comparing generation by generation and less noise. A model that always says harmful
    answers the partners wrong and gets nothing. None for examples of no contrast set and where no partner is in the
    batch (of this process), so partners have to be put into one batch. In [0, 1].
    """

    bounds = (0.0, 1.0)

    def scores(self, batch: Batch) -> Scores:
        """One score a row."""
        scores: Scores = [None] * len(batch.rows)
        for members in batch.sets.values():
            if len(members) < 2:
                continue
            shares = [sum(batch.rows[at].right for at in member) / len(member) for member in members]
            for own, member in enumerate(members):
                partners = prod(share for other, share in enumerate(shares) if other != own)
                for at in member:
                    scores[at] = partners * batch.rows[at].right
        return scores
