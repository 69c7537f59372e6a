"""Pairs to answers: greedy completions in batches, read by `schemas.reasoning`, with the probability of harm.

The probability is that of the verdict `harmful` against `benign` after the model's own reasoning and the start of the
result. Where a completion departs from the form, that start is put there by force, so that ranking and calibration
can be measured of every model; its verdict does not count for that.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.models.devices import moved
from pipelines.models.vision_language import VisionLanguageModel
from schemas.reasoning import BENIGN, HARMFUL, PROMPT, READING, Reasoned, parse

if TYPE_CHECKING:
    import torch
    from PIL import Image

DIGITS = 4
"""Decimals of stored log-odds and probabilities."""
RESERVE = 48
"""Positions that are kept free for the start of the result, in models with few of them."""
_UP_TO_VERDICT = re.compile(r'.*?<result>\s*\{\s*"verdict"\s*:\s*"', re.DOTALL)


class Question(NamedTuple):
    """What a model sees of a pair."""

    text: str
    image: Image.Image


class Answered(NamedTuple):
    """What a model made of a question."""

    completion: str
    reasoned: Reasoned | None
    """None if the completion departs from the form."""
    log_odds: float
    """Of the verdict `harmful` against `benign`, in nats; 0 if the question is too long for the model, whose completion
    then is empty."""

    @property
    def p_harmful(self) -> float:
        """The probability of harm, in [0, 1]."""
        return probability(self.log_odds)


TOO_LONG = Answered("", None, 0.0)
"""Stands for the answer to a question that the model has no positions for."""


class Sampling(NamedTuple):
    """How several answers to one question are drawn."""

    number: int
    temperature: float
    top_p: float
    seed: int


class _Asked(NamedTuple):
    prompt: str
    image: Image.Image
    length: int
    """Tokens of the prompt, those of the image among them."""


def probability(log_odds: float) -> float:
    """The probability of log-odds in nats, rounded."""
    return round(1 / (1 + math.exp(-max(min(log_odds, 500.0), -500.0))), DIGITS)


def forced_prefix(completion: str) -> str:
    """A completion up to where its verdict stands or would stand; the reasoning is kept, and closed if it was not."""
    found = _UP_TO_VERDICT.match(completion)
    if found:
        return found.group()
    reasoning = completion.partition("<result>")[0].partition("</think>")[0].strip()
    return f'<think>{reasoning.removeprefix("<think>").strip()}</think><result>{{"verdict": "'


class Answerer:
    """Asks a loaded model.

    Args:
        model: An `AutoModelForImageTextToText`.
        processor: Its processor, with a chat template.
        max_new_tokens: Of a completion; fewer where the model has no more positions.
    """

    def __init__(self, model: Any, processor: Any, max_new_tokens: int = 256) -> None:
        self._model, self._processor, self._most = model, processor, max_new_tokens
        self._template = VisionLanguageModel(model, processor)
        text = model.config.get_text_config()
        self._positions = int(getattr(text, "max_position_embeddings", 0) or 2**31)

    def answer(self, batch: Sequence[Question]) -> list[Answered]:
        """Answer the questions of a batch, in their order; the same batch has the same answers."""
        import torch

        asked = [_Asked(self.prompt(question.text), question.image, 0) for question in batch]
        inputs = self._inputs([one.prompt for one in asked], [one.image for one in asked])
        lengths = inputs["attention_mask"].sum(1).tolist()
        fits = [length + RESERVE < self._positions for length in lengths]
        asked = [one._replace(length=n) for one, n, fit in zip(asked, lengths, fits, strict=True) if fit]
        if not asked:
            return [TOO_LONG for _ in batch]
        if len(asked) < len(batch):
            inputs = self._inputs([one.prompt for one in asked], [one.image for one in asked])
        with torch.inference_mode():
            completions = self._complete(inputs)
            found = iter(zip(completions, self._log_odds(asked, completions), strict=True))
        return [_answered(*next(found)) if fit else TOO_LONG for fit in fits]

    def sampled(self, batch: Sequence[Question], sampling: Sampling, draw: int = 0) -> list[list[str]]:
        """Several completions of every question of a batch; the same seed and draw give the same ones.

        A question that the model has no positions for has empty ones.
        """
        import torch

        inputs = self._inputs([self.prompt(one.text) for one in batch], [one.image for one in batch])
        if inputs["input_ids"].shape[1] + RESERVE >= self._positions:
            return [[""] * sampling.number for _ in batch]
        options = {"temperature": sampling.temperature, "top_p": sampling.top_p, "top_k": 0}
        with torch.random.fork_rng(), torch.inference_mode():
            torch.manual_seed(sampling.seed * 1_000_003 + draw)
            said = self._complete(inputs, do_sample=True, num_return_sequences=sampling.number, **options)
        return [said[start : start + sampling.number] for start in range(0, len(said), sampling.number)]

    def read(self, batch: Sequence[Question]) -> list[str]:
        """What the model says that image and text show and say, greedily; empty where it has no positions for them."""
        import torch

        prompts = [self._template.prompt("image", READING.format(text=one.text)).text for one in batch]
        inputs = self._inputs(prompts, [one.image for one in batch])
        if inputs["input_ids"].shape[1] + RESERVE >= self._positions:
            return ["" for _ in batch]
        with torch.inference_mode():
            return [said.strip() for said in self._complete(inputs)]

    def prompt(self, text: str) -> str:
        """The question of `examples.prompt_of` in the chat template; special tokens in a text are broken up."""
        return self._template.prompt("image", PROMPT.format(text=text)).text

    def _inputs(self, texts: Sequence[str], images: Sequence[Image.Image]) -> dict[str, Any]:
        inputs = self._processor(
            text=list(texts),
            images=list(images),
            padding=True,
            padding_side="left",
            add_special_tokens=False,
            return_tensors="pt",
        )
        return moved(inputs, self._model)

    def _complete(self, inputs: dict[str, Any], **options: Any) -> list[str]:
        """Completions as text; greedy unless the options say otherwise."""
        most = min(self._most, self._positions - RESERVE - inputs["input_ids"].shape[1])
        tokenizer = self._processor.tokenizer
        greedy = {"do_sample": False, "temperature": None, "top_p": None, "top_k": None}
        ids = self._model.generate(
            **inputs,
            **{**greedy, **options},
            max_new_tokens=most,
            num_beams=1,
            pad_token_id=tokenizer.pad_token_id,
        )
        new = ids[:, inputs["input_ids"].shape[1] :]
        return list(tokenizer.batch_decode(new, skip_special_tokens=True))

    def _log_odds(self, asked: Sequence[_Asked], completions: Sequence[str]) -> list[float]:
        """Of each the log-odds of the two verdicts."""
        starts = [
            one.prompt + self._fitting(forced_prefix(completion), one.length)
            for one, completion in zip(asked, completions, strict=True)
        ]
        tails = [self._verdict_tokens(start) for start in starts]
        images = [one.image for one in asked]
        scores = []
        for place, verdict in enumerate((HARMFUL, BENIGN)):
            ends = [tail[place] for tail in tails]
            scores.append(self._likelihoods([start + verdict for start in starts], images, ends))
        return list((scores[0] - scores[1]).tolist())

    def _fitting(self, prefix: str, taken: int) -> str:
        """A prefix whose reasoning is shortened until it fits the positions that are left."""
        tokenizer = self._processor.tokenizer
        while taken + len(tokenizer(prefix, add_special_tokens=False)["input_ids"]) + 8 > self._positions:
            reasoning = prefix.partition("</think>")[0].removeprefix("<think>")
            if not reasoning:
                break
            prefix = forced_prefix(reasoning[: len(reasoning) // 2])
        return prefix

    def _verdict_tokens(self, start: str) -> tuple[int, int]:
        """How many tokens at the end of each of the two texts are not of the other."""
        encode = self._processor.tokenizer
        harmful, benign = (
            encode(start + word, add_special_tokens=False)["input_ids"] for word in (HARMFUL, BENIGN)
        )
        same = next(i for i, (one, other) in enumerate(zip(harmful, benign, strict=False)) if one != other)
        return len(harmful) - same, len(benign) - same

    def _likelihoods(
        self, texts: Sequence[str], images: Sequence[Image.Image], ends: Sequence[int]
    ) -> torch.Tensor:
        """Log-probabilities of the last tokens of each text, (b,), in nats."""
        import torch

        inputs = self._inputs(texts, images)
        most = max(ends)
        logits = self._model(**inputs, logits_to_keep=most + 1).logits[:, :-1].float()
        tokens = inputs["input_ids"][:, -most:]
        each = logits.log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
        counted = (
            torch.arange(most, 0, -1, device=each.device) <= torch.tensor(ends, device=each.device)[:, None]
        )
        return (each * counted).sum(-1)


def _answered(completion: str, log_odds: float) -> Answered:
    return Answered(completion, parse(completion), round(log_odds, DIGITS) + 0.0)
