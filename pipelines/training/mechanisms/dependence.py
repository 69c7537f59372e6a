"""Policy gradient only where it looks: tokens and trajectories weighted by how much they depend on the image."""

from __future__ import annotations

from typing import Any, ClassVar

import torch

from pipelines.training.mechanisms.divergence import kl, mean_by_completion
from pipelines.training.mechanisms.settings import Dependence
from pipelines.training.mechanisms.views import ViewingTrainer, mask_patches, token_advantages, token_mask


def dependent_tokens(dependence: torch.Tensor, mask: torch.Tensor, share: float) -> torch.Tensor:
    """1 for the tokens of each completion that depend most on the image, else 0; (B, T) (VPPO, arXiv 2510.09285).

    Of n tokens ceil(share * n) are kept; of equal ones the earlier.
    """
    ranked = dependence.masked_fill(mask == 0, -torch.inf)
    order = ranked.argsort(dim=1, descending=True, stable=True)
    # Rounded first, so that 0.4 of 5 tokens, which is a little over 2 in binary, keeps 2.
    kept = (mask.sum(1, keepdim=True) * share).mul(1e4).round().div(1e4).ceil()
    ranks = torch.arange(dependence.size(1), device=dependence.device).expand_as(dependence)
    return torch.zeros_like(dependence).scatter(1, order, (ranks < kept).to(dependence)) * mask


def trajectory_weights(dependence: torch.Tensor, batch: torch.Tensor, floor: float) -> torch.Tensor:
    """The factor of each completion's advantage, (B,), growing with its dependence (VPPO, arXiv 2510.09285).

    Dependences are scaled to 0..1 by the least and the greatest of the batch, and mapped linearly so that 0 has the
    weight `floor` and the mean over the batch is 1. All are 1 where all depend alike.

    Args:
        dependence: (B,), mean dependence of the tokens of each completion.
        batch: (N,), the same of all completions that are compared; NaN for those that do not count.
        floor: In 0..1.
    """
    counted = batch[~batch.isnan()]
    if not len(counted) or counted.max() - counted.min() < 1e-6:
        return torch.ones_like(dependence)
    low, high = counted.min(), counted.max()
    scaled = ((dependence - low) / (high - low)).clamp(0, 1)
    return floor + (1 - floor) * scaled / ((counted - low) / (high - low)).mean()


class DependenceWeights(ViewingTrainer):
    """A `GRPOTrainer` whose advantages have a weight for each token.

    Dependence on the image is measured once, when completions are fresh, by masking patches of it: the estimated
    KL(policy given the image || policy given the masked image) of each token. Tokens that are not kept have
    advantage 0, so they count in the loss's mean but carry no policy gradient (a penalty to a reference stays).
    """

    dependence_settings: ClassVar[Dependence] = Dependence()

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.model.training and batch.get("pixel_values") is not None:
            batch["advantages"] = token_advantages(batch) * self._weights(batch)
        return batch

    def _weights(self, batch: dict[str, Any]) -> torch.Tensor:
        settings, mask = self.dependence_settings, token_mask(batch)
        dependence = kl(*self.compared(batch, mask_patches(settings.masked, settings.patch)))
        tokens = dependent_tokens(dependence, mask, settings.tokens)
        means = mean_by_completion(dependence, mask)
        compared = self.accelerator.gather(means.masked_fill(mask.sum(1) == 0, torch.nan))
        trajectories = trajectory_weights(means, compared, settings.floor)
        self.note("dependence/mean", means)
        self.note("dependence/tokens_kept", tokens.sum() / mask.sum().clamp(min=1))
        self.note("dependence/greatest_weight", trajectories.max())
        return tokens * trajectories.unsqueeze(1)
