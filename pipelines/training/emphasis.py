"""More weight for the few tokens of a reasoning chain that decide its verdict.

In a chain of a hundred tokens two or three say whether the pair is harmful; all others follow from the picture, the
text or those. A mean over tokens gives the judgement a fiftieth of the gradient.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import torch
from trl import SFTTrainer

DECIDING = re.compile(r'Together:\s*(\w+)|"verdict":\s*"\s*(\w+)')
"""The word that begins the conclusion, and the verdict, in chains as `chains.chain_of` makes them."""


def deciding(pieces: Sequence[str]) -> list[bool]:
    """Which tokens begin a conclusion or are of a verdict.

    Args:
        pieces: The tokens of a completion, each decoded by itself.
    """
    said = "".join(pieces)
    spans = [found.span(found.lastindex or 0) for found in DECIDING.finditer(said)]
    ends = list(accumulate(map(len, pieces)))
    places = zip([0, *ends], ends, strict=False)
    return [any(start < b and a < end for a, b in spans) for start, end in places]


class EmphasisTrainer(SFTTrainer):
    """TRL's trainer, whose loss is the weighted mean over the tokens of the completions.

    Args:
        verdict_weight: Of the tokens that decide; all others have 1.
        arguments: Of `SFTTrainer`.
    """

    def __init__(self, *, verdict_weight: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._weight = verdict_weight
        self._pieces: dict[int, str] = {}

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
        """The trainer's loss of the model's log-probabilities times the tokens' weights."""
        weights = self.weights(inputs["labels"])[:, 1:]

        def weighted(**given: Any) -> Any:
            outputs = model(**given)
            if outputs.log_probs is not None:
                outputs.log_probs = outputs.log_probs * weights
            return outputs

        return super().compute_loss(weighted, inputs, *args, **options)

    def weights(self, labels: torch.Tensor) -> torch.Tensor:
        """Weights of labels (b, n), with a mean of 1 over those that are learned, 0 elsewhere."""
        learned = labels != -100
        found = torch.zeros(labels.shape, device=labels.device)
        for row, mask in enumerate(learned):
            pieces = [self._piece(int(token)) for token in labels[row][mask]]
            chosen = torch.tensor(deciding(pieces), device=labels.device)
            found[row][mask] = torch.where(chosen, self._weight, 1.0)
        return found * learned.sum() / found.sum().clamp(min=1)

    def _piece(self, token: int) -> str:
        if token not in self._pieces:
            self._pieces[token] = self.processing_class.tokenizer.decode([token])
        return self._pieces[token]
