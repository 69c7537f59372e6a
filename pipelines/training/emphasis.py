"""More weight for the few tokens of a reasoning chain that decide its verdict.

In a chain of a hundred tokens two or three say whether the pair is harmful; all others follow from the picture, the
text or those. A mean over tokens gives the judgement a fiftieth of the gradient. Once such a token is certain enough it
can be left out until it is less certain again, in the manner of flooding (arXiv 2002.08709): verdicts on unseen pairs
keep the doubts without which all of GRPO's completions agree.
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
        pieces: The tokens of a completion as text, spaces before words included.
    """
    said = "".join(pieces)
    spans = [found.span(found.lastindex or 0) for found in DECIDING.finditer(said)]
    ends = list(accumulate(map(len, pieces)))
    places = zip([0, *ends], ends, strict=False)
    return [any(start < b and a < end for a, b in spans) for start, end in places]


class DecidingTokens:
    """Finds, in batches of token ids, those that decide verdicts.

    Args:
        processor: The model's processor or tokenizer.
    """

    def __init__(self, processor: Any) -> None:
        self._decode = getattr(processor, "tokenizer", processor).decode
        self._pieces: dict[int, str] = {}

    def __call__(self, ids: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
        """Which of the ids (b, n) decide; only those in the mask (b, n) are read."""
        found = torch.zeros(ids.shape, dtype=torch.bool, device=ids.device)
        for row, places in enumerate(mask):
            pieces = [self._piece(int(token)) for token in ids[row][places]]
            found[row][places] = torch.tensor(deciding(pieces), dtype=torch.bool, device=ids.device)
        return found

    def _piece(self, token: int) -> str:
        """A token's text. Some decoders drop the space before a first word, so it is decoded as a second one."""
        if token not in self._pieces:
            self._pieces[token] = self._decode([token, token])[len(self._decode([token])) :]
        return self._pieces[token]


class EmphasisTrainer(SFTTrainer):
    """TRL's trainer, whose loss is the weighted mean over the tokens of the completions.

    Args:
        verdict_weight: Of the tokens that decide; all others have 1.
        verdict_certainty: Tokens that decide have no weight where their probability is above this.
        arguments: Of `SFTTrainer`.
    """

    def __init__(self, *, verdict_weight: float, verdict_certainty: float, **arguments: Any) -> None:
        super().__init__(**arguments)
        self._weight, self._certainty = verdict_weight, verdict_certainty
        self._deciding = DecidingTokens(self.processing_class)

    def compute_loss(self, model: Any, inputs: dict[str, Any], *args: Any, **options: Any) -> Any:
        """The trainer's loss of the model's log-probabilities times the tokens' weights."""
        labels = inputs["labels"][:, 1:]
        decides = self._deciding(labels, labels != -100)

        def weighted(**given: Any) -> Any:
            outputs = model(**given)
            if outputs.log_probs is not None:
                certain = outputs.log_probs.detach().exp() > self._certainty
                outputs.log_probs = outputs.log_probs * self.weights(labels, decides, decides & certain)
            return outputs

        return super().compute_loss(weighted, inputs, *args, **options)

    def weights(self, labels: torch.Tensor, decides: torch.Tensor, certain: torch.Tensor) -> torch.Tensor:
        """Weights of labels (b, n), with a mean of 1 over those that are learned, 0 elsewhere.

        Args:
            labels: Token ids, or -100 where nothing is learned.
            decides: Which of them decide the verdict.
            certain: Which of those are left out.
        """
        learned = labels != -100
        found = torch.where(decides, self._weight, 1.0) * (learned & ~certain)
        return found * learned.sum() / found.sum().clamp(min=1)
