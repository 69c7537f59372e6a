"""The judge as Beam ModelHandlers: any `AutoModelForImageTextToText` that answers yes or no, and says why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
from apache_beam.ml.inference.base import ModelHandler

from pipelines.calibration import NEUTRAL, Scaling
from pipelines.models.resolve import fingerprint
from pipelines.models.vision_language import VisionLanguageModel, load_vision_language_model, run_prompts
from pipelines.storage.workspace import Workspace
from schemas.config import Model
from schemas.policy import Policy

RATIONALE_TOKENS = 64


class Question(NamedTuple):
    """An image and a text to judge together, or one of them with the other part empty."""

    image_id: str
    text: str


class _Asked(ModelHandler[Question, bytes, VisionLanguageModel]):
    """What the handlers of questions share: model, policy, blobs, and the size of a batch."""

    def __init__(self, model: Model, policy: Policy, workspace: Workspace) -> None:
        super().__init__()
        self._model, self._policy, self._workspace = model, policy, workspace

    def load_model(self) -> VisionLanguageModel:
        """Load model and processor."""
        return load_vision_language_model(self._model)

    def get_num_bytes(self, batch: Sequence[Question]) -> int:
        """Bytes of the questions, without pickling them."""
        return sum(64 + len(q.text) for q in batch)


class Judge(_Asked):
    """Questions to the probability of harm, as one float32.

    It is the softmax over the first tokens of the two answers, the mean over the orders of the options.

    Args:
        model: Where the model is.
        policy: What it is asked.
        workspace: Where the images are.
        scaling: What the stages calibrate probabilities by; the cached results are without it.
    """

    def __init__(
        self, model: Model, policy: Policy, workspace: Workspace, scaling: Scaling = NEUTRAL
    ) -> None:
        super().__init__(model, policy, workspace)
        self.scaling = scaling

    @property
    def name(self) -> str:
        """The judge's name on written rows."""
        return f"{self._model.path}@{self._model.revision}" if self._model.revision else self._model.path

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a probability depends on."""
        return fingerprint("judge", self._model, *judging(self._policy))

    def run_inference(
        self,
        batch: Sequence[Question],
        model: VisionLanguageModel,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[bytes]:
        """Ask every question of a batch; image, text and both are asked apart, never with the other part."""
        import torch

        orders = range(self._policy.orders)
        answers = [list(model.answer_tokens(self._policy.answers(order))) for order in orders]

        def answer(inputs: dict[str, Any]) -> list[list[float]]:
            # Nothing is written after the first token, so its keys and values would only take memory.
            logits = model.model(**inputs, logits_to_keep=1, use_cache=False).logits[:, -1].float()
            by_order = [logits[:, tokens].softmax(dim=-1)[:, 0] for tokens in answers]
            probabilities: list[list[float]] = torch.stack(by_order, dim=1).tolist()
            return probabilities

        # All orders at once, so that fewer batches are left short.
        asked = [(q, order) for order in orders for q in batch]
        prompts = [
            model.prompt(q.image_id, self._policy.question(bool(q.image_id), q.text, order))
            for q, order in asked
        ]
        results = run_prompts(model, prompts, self._workspace.blobs(), self._model, answer)
        own = [result[order] for result, (_, order) in zip(results, asked, strict=True)]
        by_question = (own[start :: len(batch)] for start in range(len(batch)))
        return [np.float32(np.mean(ps)).astype("<f4").tobytes() for ps in by_question]


class Rationaliser(_Asked):
    """Questions about accepted pairs to a rationale, as UTF-8; decoded greedily."""

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a rationale depends on."""
        return fingerprint("rationale", self._model, self._policy.rationale, str(RATIONALE_TOKENS))

    def run_inference(
        self,
        batch: Sequence[Question],
        model: VisionLanguageModel,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[bytes]:
        """Write a rationale for every pair of a batch."""
        tokenizer = model.processor.tokenizer

        def write(inputs: dict[str, Any]) -> list[bytes]:
            out = model.model.generate(
                **inputs,
                max_new_tokens=RATIONALE_TOKENS,
                do_sample=False,
                pad_token_id=tokenizer.pad_token_id,
                eos_token_id=tokenizer.eos_token_id,
            )
            texts = tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
            return [text.strip().encode() for text in texts]

        prompts = [model.prompt(q.image_id, self._policy.why(q.text)) for q in batch]
        return run_prompts(model, prompts, self._workspace.blobs(), self._model, write)


def judging(policy: Policy) -> tuple[str, ...]:
    """What of a policy decides a probability."""
    answers = [word for order in range(policy.orders) for word in policy.answers(order)]
    return (policy.image, policy.text, policy.joint, *policy.options, *answers)
