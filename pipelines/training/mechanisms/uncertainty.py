"""An exploration bonus for answers that would change if the picture were a little different."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from pipelines.training.mechanisms.divergence import mean_by_completion, symmetric_kl
from pipelines.training.mechanisms.settings import Uncertainty
from pipelines.training.mechanisms.views import ViewingTrainer, add_noise, token_mask


def annealed(weight: float, step: int, steps: int) -> float:
    """The bonus's weight after `step` of `steps` steps: falling linearly from `weight` to 0."""
    return weight * max(0.0, 1 - step / max(steps, 1))


def exploration_bonus(uncertainty: torch.Tensor, group: int, weight: float, ceiling: float) -> torch.Tensor:
    """What is added to each completion's advantage, (N,): weight * (U - mean U of the completions of its prompt).

    After VOGUE (arXiv 2510.01444), whose signal, the symmetric KL between the policy on the raw and on the noised
    image, this uses; that the bonus is centred among the completions of a prompt, like a reward is, so that it
    prefers some and does not make all of them likelier, is a choice of this implementation.

    Args:
        uncertainty: U, (N,), in nats; completions of one prompt stand together. Cut at `ceiling`.
        group: How many completions a prompt has; it divides N.
        weight: Of the bonus.
        ceiling: The most that U counts.
    """
    groups = uncertainty.clamp(max=ceiling).view(-1, group)
    return (weight * (groups - groups.mean(1, keepdim=True))).view(-1)


class UncertaintyBonus(ViewingTrainer):
    """A `GRPOTrainer` that adds the exploration bonus to the advantages of fresh completions."""

    uncertainty_settings: ClassVar[Uncertainty] = Uncertainty()

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.model.training and batch.get("pixel_values") is not None:
            bonus, advantages = self._bonus(batch), batch["advantages"]
            batch["advantages"] = advantages + (bonus if advantages.ndim == 1 else bonus.unsqueeze(1))
        return batch

    def _bonus(self, batch: dict[str, Any]) -> torch.Tensor:
        settings = self.uncertainty_settings
        seen, noised = self.compared(batch, add_noise(settings.noise))
        uncertainty = mean_by_completion(symmetric_kl(seen, noised), token_mask(batch))
        weight = annealed(settings.weight, self.state.global_step, self.state.max_steps)
        # A prompt's completions may lie on several processes, so they are compared as TRL compares rewards.
        everywhere = self.accelerator.gather(uncertainty)
        bonus = exploration_bonus(everywhere, self.num_generations, weight, settings.ceiling)
        self.note("uncertainty/mean", uncertainty)
        self.note("uncertainty/weight", torch.tensor(weight, device=uncertainty.device))
        self.note("uncertainty/greatest_bonus", bonus.max())
        start = self.accelerator.process_index * len(uncertainty)
        return bonus[start : start + len(uncertainty)]
