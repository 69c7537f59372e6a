"""A rule where there is something to check, else a model."""

from __future__ import annotations

from dataclasses import dataclass

from pipelines.training.rewards.batch import Batch, Reward, Scores


@dataclass(frozen=True)
class Hybrid:
    """The rule's score where it has one, else the model's (HARMO, arXiv 2510.05283).

    With the hazard as rule and the rationale's similarity as model, harmful pairs with a known hazard are checked, and
    those without are compared with what people wrote. In the wider of the two ranges.
    """

    rule: Reward
    model: Reward

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest score of either."""
        lows, highs = zip(self.rule.bounds, self.model.bounds, strict=True)
        return min(lows), max(highs)

    def scores(self, batch: Batch) -> Scores:
        """One score a row; None where neither has one."""
        by_rule, by_model = self.rule.scores(batch), self.model.scores(batch)
        ruled = sum(score is not None for score in by_rule)
        batch.log("hybrid/by_rule", ruled / max(1, len(by_rule)))
        return [model if rule is None else rule for rule, model in zip(by_rule, by_model, strict=True)]
