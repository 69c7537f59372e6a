"""The judge behind an OpenAI-compatible server: the same questions, read from the first token's logprobs."""

from __future__ import annotations

import base64
import hashlib
import math
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np
from apache_beam.ml.inference.base import ModelHandler

from generators.endpoint import EndpointChat, Trouble, ask_many
from pipelines.calibration import NEUTRAL, Scaling
from pipelines.models.judge import RATIONALE_TOKENS, Question, judging
from pipelines.storage.workspace import Workspace
from schemas.config import Endpoint
from schemas.policy import Answers, Policy

ALTERNATIVES = 20
"""First tokens whose probabilities are asked for, the most that servers give."""


class NoAnswerError(ValueError):
    """A server whose first token is none of the two answers, or that gives no logprobs; says which."""


def probability_of(alternatives: Iterable[tuple[str, float]], answers: Answers) -> float:
    """The probability of harm among the two answers.

    Args:
        alternatives: First tokens with their natural log-probabilities.
        answers: The words that mean harm and no harm; case and white space around a token do not count.

    Raises:
        NoAnswerError: Neither answer is among the tokens.
    """
    mass = dict.fromkeys(answers, 0.0)
    seen = []
    for token, logprob in alternatives:
        word = token.strip().rstrip(".:)")
        seen.append(token)
        for answer in answers:
            if word.casefold() == answer.casefold():
                mass[answer] += math.exp(logprob)
    total = sum(mass.values())
    if not total:
        raise NoAnswerError(
            f"the first token is none of {answers.harmful!r} and {answers.benign!r} but one of {seen}"
        )
    return mass[answers.harmful] / total


class _Served(ModelHandler[Question, Any, None]):
    """What the two handlers share."""

    def __init__(self, endpoint: Endpoint, policy: Policy, workspace: Workspace) -> None:
        super().__init__()
        self._endpoint, self._policy, self._workspace = endpoint, policy, workspace

    @property
    def name(self) -> str:
        """The model's name on the server."""
        return EndpointChat(self._endpoint).name

    def load_model(self) -> None:
        """Check address and key; the model is the server's."""
        EndpointChat(self._endpoint).load()

    def get_num_bytes(self, batch: Sequence[Question]) -> int:
        """Bytes of the questions, without pickling them."""
        return sum(64 + len(q.text) for q in batch)

    def _print(self, kind: str, *parts: str) -> str:
        return hashlib.sha256(
            "\0".join((kind, EndpointChat(self._endpoint).fingerprint(), *parts)).encode()
        ).hexdigest()

    def _message(self, image_id: str, words: str) -> dict[str, Any]:
        parts: list[dict[str, Any]] = [{"type": "text", "text": words}]
        if image_id:
            data = base64.b64encode(self._workspace.blobs().get(image_id)).decode()
            parts.insert(0, {"type": "image_url", "image_url": {"url": f"data:image/jpeg;base64,{data}"}})
        return {"role": "user", "content": parts}


class ServedJudge(_Served):
    """Questions to the probability of harm, as one float32; the mean over the orders of the options.

    Args:
        endpoint: The server.
        policy: What it is asked.
        workspace: Where the images are.
        scaling: What the stages calibrate probabilities by; the cached results are without it.
    """

    def __init__(
        self, endpoint: Endpoint, policy: Policy, workspace: Workspace, scaling: Scaling = NEUTRAL
    ) -> None:
        super().__init__(endpoint, policy, workspace)
        self.scaling = scaling

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a probability depends on, as far as it is known."""
        return self._print("served-judge", *judging(self._policy))

    def run_inference(
        self, batch: Sequence[Question], model: None, inference_args: dict[str, Any] | None = None
    ) -> Iterable[bytes | Exception]:
        """Ask every question; one that is not answered stands as its exception."""
        orders = [self._answers(batch, order) for order in range(self._policy.orders)]
        for answers in zip(*orders, strict=True):
            wrong = next((answer for answer in answers if isinstance(answer, Exception)), None)
            yield wrong or np.float32(np.mean(answers)).astype("<f4").tobytes()

    def _answers(self, batch: Sequence[Question], order: int) -> list[float | Exception]:
        answers = self._policy.answers(order)

        def read(completion: Any) -> float | Exception | Trouble:
            try:
                first = completion.choices[0].logprobs.content[0]
                alternatives = [(one.token, one.logprob) for one in first.top_logprobs]
            except (AttributeError, IndexError, TypeError):
                return NoAnswerError(f"{self.name} sends no logprobs; start its server so that it does")
            try:
                return probability_of(alternatives, answers)
            except NoAnswerError as error:
                return error

        asked = [
            {
                "messages": [
                    self._message(q.image_id, self._policy.question(bool(q.image_id), q.text, order))
                ],
                "seed": 0,
                "temperature": 0,
                "max_tokens": 1,
                "logprobs": True,
                "top_logprobs": ALTERNATIVES,
            }
            for q in batch
        ]
        return ask_many(self._endpoint, asked, read)


class ServedRationaliser(_Served):
    """Questions about accepted pairs to a rationale, as UTF-8."""

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a rationale depends on, as far as it is known."""
        return self._print("served-rationale", self._policy.rationale, str(RATIONALE_TOKENS))

    def run_inference(
        self, batch: Sequence[Question], model: None, inference_args: dict[str, Any] | None = None
    ) -> Iterable[bytes | Exception]:
        """Write a rationale for every pair of a batch; what fails stands as its exception."""
        asked = [
            {
                "messages": [self._message(q.image_id, self._policy.why(q.text))],
                "seed": 0,
                "temperature": 0,
                "max_tokens": 4 * RATIONALE_TOKENS,
            }
            for q in batch
        ]
        return ask_many(self._endpoint, asked, _text)


def _text(completion: Any) -> bytes | Trouble:
    try:
        return str(completion.choices[0].message.content or "").strip().encode()
    except (AttributeError, IndexError, TypeError):
        return Trouble("sent no chat completion", 200)
