"""Policy gradient where the verdict falls: more weight for the few tokens that decide it."""

from __future__ import annotations

from functools import cached_property
from typing import Any, ClassVar

import torch
from trl.trainer.grpo_trainer import GRPOTrainer

from pipelines.training.emphasis import DecidingTokens
from pipelines.training.mechanisms.settings import Emphasis
from pipelines.training.mechanisms.views import token_advantages, token_mask
from schemas.reasoning import parse


def verdict_weights(
    decides: torch.Tensor, mask: torch.Tensor, formed: torch.Tensor, weight: float
) -> torch.Tensor:
    """Weights (B, T) of the tokens of completions, with a mean of 1 over those of the mask.

    Args:
        decides: (B, T), which tokens decide a verdict.
        mask: (B, T), which tokens are of a completion.
        formed: (B,), which completions have the form.
        weight: Of a token that decides, in a completion that has the form, against 1 of the others.
    """
    emphasis = torch.where(formed.unsqueeze(1), weight, 0.0)
    found = torch.where(decides, emphasis, 1.0) * mask
    return found * mask.sum() / found.sum().clamp(min=1)


class VerdictEmphasis(GRPOTrainer):
    """A `GRPOTrainer` whose advantages have more weight on the tokens that decide the verdict.

    All tokens of a completion share its advantage, though most of them (what is seen, what is said) did nothing for
    it: with a few completions a step their chance is louder than the verdict's. What decides has `verdict_weight` times
    the weight of the rest, and none in a completion that departs from the form, where the verdict was not what failed.
    Weights have a mean of 1 over the tokens of the batch.
    """

    emphasis_settings: ClassVar[Emphasis] = Emphasis()

    @cached_property
    def _deciding(self) -> DecidingTokens:
        return DecidingTokens(self.processing_class)

    def _generate_and_score_completions(self, inputs: list[dict[str, Any]]) -> dict[str, Any]:
        batch: dict[str, Any] = super()._generate_and_score_completions(inputs)
        if self.model.training:
            batch["advantages"] = token_advantages(batch) * self._weights(batch)
        return batch

    def _weights(self, batch: dict[str, Any]) -> torch.Tensor:
        ids, mask = batch["completion_ids"], token_mask(batch)
        said = [row[kept] for row, kept in zip(ids, mask.bool(), strict=True)]
        formed = torch.tensor([parse(text) is not None for text in self._texts(said)], device=ids.device)
        decides = self._deciding(ids, mask.bool())
        return verdict_weights(decides, mask, formed, self.emphasis_settings.verdict_weight)

    def _texts(self, completions: list[torch.Tensor]) -> list[str]:
        tokenizer: Any = getattr(self.processing_class, "tokenizer", self.processing_class)
        texts: list[str] = tokenizer.batch_decode(completions, skip_special_tokens=True)
        return texts
