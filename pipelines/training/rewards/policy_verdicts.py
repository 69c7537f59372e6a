"""Verdicts of a vision-language model of transformers: the likelihoods of both after the same reasoning."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import takewhile
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.models.devices import moved
from pipelines.training.rewards.verdicts import Asked
from schemas.reasoning import BENIGN, HARMFUL

if TYPE_CHECKING:
    import torch

PER_TOKEN = ("token_type_ids", "mm_token_type_ids")
"""Inputs that processors give beside the tokens, one value a token; 0 stands for text."""


class _Context(NamedTuple):
    """What a model reads before a verdict, one entry a token."""

    tokens: list[int]
    kinds: dict[str, list[int]]


@dataclass(frozen=True, eq=False)
class PolicyVerdicts:
    """Any `AutoModelForImageTextToText` with its processor, such as the policy in training or its reference.

    The completion is taken as far as the verdict is about to be written, and both verdicts are scored as its next
    tokens; the probability is the softmax of their two log-likelihoods. Gradients are off, and the model is back in
    its mode afterwards. Contexts longer than the model's positions lose the beginning of the reasoning.
    """

    model: Any
    processor: Any
    batch_size: int = 16

    def __call__(self, asked: Sequence[Asked]) -> list[float]:
        """The probability of `harmful` among the two verdicts, one for each asked."""
        with _inference(self.model):
            # Processors take images for all prompts of a batch or for none.
            order = sorted(range(len(asked)), key=lambda at: asked[at].image is None)
            kinds = [[at for at in order if (asked[at].image is None) is bare] for bare in (False, True)]
            starts = [(kind, at) for kind in kinds for at in range(0, len(kind), self.batch_size)]
            found: dict[int, float] = {}
            for kind, at in starts:
                part = kind[at : at + self.batch_size]
                found.update(zip(part, self._batch([asked[index] for index in part]), strict=True))
        return [found[at] for at in range(len(asked))]

    def _batch(self, asked: Sequence[Asked]) -> list[float]:
        import torch

        twice = [one for one in asked for _ in (HARMFUL, BENIGN)]
        contexts, inputs = self._prompts(twice)
        split = [tails for one in asked for tails in self._continuations(one.think)]
        room = self._positions() - max(len(tail) for _, tail in split)
        contexts = [
            _extended(context, head, room) for context, (head, _) in zip(contexts, split, strict=True)
        ]
        scores = self._likelihoods(contexts, [tail for _, tail in split], inputs)
        probabilities: list[float] = torch.stack(scores).view(-1, 2).softmax(dim=1)[:, 0].tolist()
        return probabilities

    def _prompts(self, asked: Sequence[Asked]) -> tuple[list[_Context], dict[str, Any]]:
        """The tokens of each prompt without padding, and the inputs that belong to the images."""
        texts = [
            self.processor.apply_chat_template(one.conversation, add_generation_prompt=True) for one in asked
        ]
        images = [[one.image] for one in asked] if asked[0].image is not None else None
        options = {"padding": True, "add_special_tokens": False, "return_tensors": "pt"}
        inputs = dict(self.processor(text=texts, images=images, **options))
        mask = inputs.pop("attention_mask").bool()
        rows = {name: inputs.pop(name) for name in ("input_ids", *PER_TOKEN) if name in inputs}
        kept = [{name: row[at][mask[at]].tolist() for name, row in rows.items()} for at in range(len(asked))]
        return [_Context(one.pop("input_ids"), one) for one in kept], inputs

    def _continuations(self, think: str) -> list[tuple[list[int], list[int]]]:
        """For both verdicts, the tokens up to where they part, and those from there on."""
        opening = f'<think>{self._plain(think)}</think><result>{{"verdict": "'
        tokenizer = self.processor.tokenizer
        ids = [
            tokenizer.encode(f'{opening}{verdict}"', add_special_tokens=False)
            for verdict in (HARMFUL, BENIGN)
        ]
        shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(*ids, strict=False)))
        return [(one[:shared], one[shared:]) for one in ids]

    def _plain(self, text: str) -> str:
        """A text in which no special token is spelt, since an image's place holder would ask for another image."""
        special = (
            token.content for token in self.processor.tokenizer.added_tokens_decoder.values() if token.special
        )
        pattern = "|".join(map(re.escape, sorted(special, key=len, reverse=True))) or "(?!)"
        return re.sub(pattern, lambda found: f"{found[0][0]} {found[0][1:]}", text)

    def _positions(self) -> int:
        return int(self.model.config.get_text_config().max_position_embeddings)

    def _likelihoods(
        self, contexts: list[_Context], tails: list[list[int]], inputs: dict[str, Any]
    ) -> list[torch.Tensor]:
        """The log-likelihood of every tail after its context."""
        import torch

        width, length = max(len(one.tokens) for one in contexts), max(map(len, tails))
        pad = self.processor.tokenizer.pad_token_id
        rows = [
            [pad] * (width - len(context.tokens)) + context.tokens + tail + [pad] * (length - len(tail))
            for context, tail in zip(contexts, tails, strict=True)
        ]
        seen = [
            [0] * (width - len(context.tokens))
            + [1] * (len(context.tokens) + len(tail))
            + [0] * (length - len(tail))
            for context, tail in zip(contexts, tails, strict=True)
        ]
        kinds = {
            name: torch.tensor(
                [[0] * (width - len(one.tokens)) + one.kinds[name] + [0] * length for one in contexts]
            )
            for name in contexts[0].kinds
        }
        tokens = {"input_ids": torch.tensor(rows), "attention_mask": torch.tensor(seen)} | kinds
        batch = moved(inputs | tokens, self.model)
        logits = self.model(**batch, logits_to_keep=length + 1, use_cache=False).logits[:, -length - 1 :]
        logprobs = logits.float().log_softmax(dim=-1)
        return [
            sum((logprobs[row, at, token] for at, token in enumerate(tail)), start=logprobs.new_zeros(()))
            for row, tail in enumerate(tails)
        ]


def _extended(context: _Context, head: list[int], room: int) -> _Context:
    """The prompt with as much of the end of a completion's head as there is room for."""
    kept = head[max(0, len(context.tokens) + len(head) - room) :]
    kinds = {name: [*values, *[0] * len(kept)] for name, values in context.kinds.items()}
    return _Context([*context.tokens, *kept], kinds)


@contextmanager
def _inference(model: Any) -> Iterator[None]:
    import torch

    training = model.training
    model.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        model.train(training)
