"""Does the verdict follow from the reasoning? A bonus by likelihood, and one by asking again."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.training.rewards.batch import Batch, Scores
from pipelines.training.rewards.verdicts import VerdictModel, ask, chance_of, verdict_of


@dataclass(frozen=True)
class Likelihood:
    """A bonus for right answers that a reference model finds as likely from their reasoning as the group's mean.

    After GRPO-CARE (arXiv 2506.16141): the mean is over the right answers to the same example, and likelihoods are
    capped, so that ever surer is not ever better. The likelihood here is that of the verdict, of the two there are.
    Every other row scores 0. In [0, bonus].
    """

    reference: VerdictModel
    """A frozen or slowly moving copy of the policy."""
    bonus: float = 0.5
    cap: float = 0.95
    margin: float = 0.01
    """How far below the mean still is as likely."""

    @property
    def bounds(self) -> tuple[float, float]:
        """Nothing, and the bonus."""
        return 0.0, self.bonus

    def scores(self, batch: Batch) -> Scores:
        """One score a row; the reference is asked once, about the right answers."""
        right = [at for at, row in enumerate(batch.rows) if row.right]
        harms = ask(self.reference, [batch.rows[at] for at in right])
        found = {
            at: min(self.cap, chance_of(batch.rows[at], harm)) for at, harm in zip(right, harms, strict=True)
        }
        scores: Scores = [0.0] * len(batch.rows)
        for group in batch.groups:
            members = [at for at in group if at in found]
            mean = sum(found[at] for at in members) / max(1, len(members))
            for at in members:
                scores[at] = self.bonus if found[at] >= mean - self.margin else 0.0
        if found:
            batch.log("consistency/likelihood", sum(found.values()) / len(found))
        return scores


@dataclass(frozen=True)
class Reanswer:
    """1 if the answer is right and asking again, options in the other order, gives the same from the same reasoning.

    After ACRE (arXiv 2510.10104), which shuffles the options of a multiple choice; here the question names the two
    verdicts the other way round. A right answer that does not come again scores `changed`, everything else 0.
    In [0, 1].

    Raises:
        ValueError: `changed` is not in [0, 1].
    """

    model: VerdictModel
    """The policy, or a copy."""
    changed: float = 0.5

    bounds = (0.0, 1.0)

    def __post_init__(self) -> None:
        """Check the lower reward."""
        if not 0 <= self.changed <= 1:
            raise ValueError(f"`changed` is {self.changed}, but must be in [0, 1]")

    def scores(self, batch: Batch) -> Scores:
        """One score a row; the model is asked once, about the right answers."""
        right = [at for at, row in enumerate(batch.rows) if row.right]
        harms = ask(self.model, [batch.rows[at] for at in right], reordered=True)
        scores: Scores = [0.0] * len(batch.rows)
        for at, harm in zip(right, harms, strict=True):
            again = verdict_of(harm) == batch.rows[at].example.verdict
            scores[at] = 1.0 if again else self.changed
        return scores
