"""The implicit perception loss: a policy that would say the same without the picture does not look at it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, ClassVar, NamedTuple

import torch

from pipelines.training.mechanisms.divergence import kl, mean_over_tokens
from pipelines.training.mechanisms.settings import Perception
from pipelines.training.mechanisms.views import Scored, ViewingTrainer, changed, mask_patches, token_mask


class PerceptionTerms(NamedTuple):
    """Scalars, in nats a token."""

    loss: torch.Tensor
    """What is added to the loss of the policy."""
    divergence: torch.Tensor
    entropy: torch.Tensor
    masked_entropy: torch.Tensor


def perception_terms(
    seen: Scored, masked: Scored, mask: torch.Tensor, settings: Perception
) -> PerceptionTerms:
    """The terms that PAPO adds to a policy's loss: -gamma * KL + e1 * H(given the image) + e2 * H(given the mask).

    After PAPO (arXiv 2507.06448). KL(policy given the image || policy given the masked image) is estimated at the
    sampled tokens; making it larger without bound is easiest by making either policy random, which the two
    entropies (of the whole vocabulary) hold down. All are means over the tokens.

    Args:
        seen: Of the policy given the images.
        masked: Of the policy given the masked images.
        mask: (B, T), 1 where a token counts.
        settings: The weights.
    """
    divergence = mean_over_tokens(kl(seen.logps, masked.logps, settings.ceiling), mask)
    entropy = mean_over_tokens(seen.entropies, mask)
    masked_entropy = mean_over_tokens(masked.entropies, mask)
    loss = settings.entropy * entropy + settings.masked_entropy * masked_entropy - settings.gamma * divergence
    return PerceptionTerms(loss, divergence, entropy, masked_entropy)


class PerceptionLoss(ViewingTrainer):
    """A `GRPOTrainer` whose loss has the perception terms added; batches without images are left as they are."""

    perception_settings: ClassVar[Perception] = Perception()
    _seen: Scored | None = None
    _watching = False

    def _get_per_token_logps_and_entropies(self, *args: Any, **kwargs: Any) -> Any:
        scored = super()._get_per_token_logps_and_entropies(*args, **kwargs)
        if self._watching:
            self._seen, self._watching = Scored(scored[0], scored[1]), False
        return scored

    def _compute_loss(self, model: torch.nn.Module, inputs: Mapping[str, Any]) -> torch.Tensor:
        # The policy's own forward pass is watched, so that only the masked view needs another one.
        self._watching = inputs.get("pixel_values") is not None
        loss: torch.Tensor = super()._compute_loss(model, inputs)
        seen, self._seen = self._seen, None
        if seen is None:
            return loss
        terms = self._perception_terms(model, inputs, seen)
        windows = self.current_gradient_accumulation_steps if self.model.training else 1
        return loss + terms.loss / windows

    def _perception_terms(
        self, model: torch.nn.Module, inputs: Mapping[str, Any], seen: Scored
    ) -> PerceptionTerms:
        settings = self.perception_settings
        pixels = changed(inputs, self.state.global_step, mask_patches(settings.masked, settings.patch))
        masked = self.scored_given(model, inputs, pixels)
        terms = perception_terms(seen, masked, token_mask(inputs), settings)
        for name, value in terms._asdict().items():
            self.note(f"perception/{name}", value)
        return terms
