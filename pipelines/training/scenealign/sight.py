"""What looks at pictures and answers in words: a vision-language model in this process, or behind a server."""

from __future__ import annotations

import base64
import tempfile
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from generators.endpoint import Trouble, ask_many
from schemas.config import Endpoint, Model

if TYPE_CHECKING:
    from pipelines.models.vision_language import VisionLanguageModel

TOKENS = 1500
"""New tokens of an answer at most."""


class Look(NamedTuple):
    """A picture (encoded) and what is asked about it."""

    image: bytes
    question: str
    seed: int


class Sight(Protocol):
    """What looks at pictures."""

    def answers(self, looks: Sequence[Look]) -> list[str | Exception]:
        """One answer a look, in order; what fails is returned as its exception."""
        ...


def sight_of(model: Model | None, endpoint: Endpoint | None) -> Sight | None:
    """The one that is given, if any."""
    return EndpointSight(endpoint) if endpoint else LocalSight(model) if model else None


class EndpointSight:
    """A vision-language model behind an OpenAI-compatible server."""

    def __init__(self, endpoint: Endpoint, tokens: int = TOKENS) -> None:
        self._endpoint, self._tokens = endpoint, tokens

    def answers(self, looks: Sequence[Look]) -> list[str | Exception]:
        """Ask, `concurrency` at a time, as `generators.endpoint.ask_many` does."""
        asked = [
            {
                "messages": [{"role": "user", "content": _parts(look)}],
                "seed": look.seed,
                "temperature": 0,
                "max_tokens": self._tokens,
            }
            for look in looks
        ]
        return ask_many(self._endpoint, asked, _content)


def _parts(look: Look) -> list[dict[str, Any]]:
    url = f"data:image/jpeg;base64,{base64.b64encode(look.image).decode()}"
    return [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": look.question}]


def _content(completion: Any) -> str | Trouble:
    try:
        return str(completion.choices[0].message.content or "")
    except (AttributeError, IndexError, TypeError):
        return Trouble("sent no chat completion", 200)


class LocalSight:
    """A vision-language model in this process, decoded greedily; it is loaded when first asked, and stays."""

    def __init__(self, model: Model, tokens: int = TOKENS) -> None:
        self._settings, self._tokens = model, tokens

    @cached_property
    def _model(self) -> VisionLanguageModel:
        from pipelines.models.vision_language import load_vision_language_model

        return load_vision_language_model(self._settings)

    def answers(self, looks: Sequence[Look]) -> list[str | Exception]:
        """Ask in batches of pictures of one shape."""
        from pipelines.models.vision_language import run_prompts
        from pipelines.storage.blobs import BlobStore

        model = self._model
        decode = model.processor.tokenizer.batch_decode

        def write(inputs: dict[str, Any]) -> list[str | Exception]:
            out = model.model.generate(**inputs, max_new_tokens=self._tokens, do_sample=False)
            return list(decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True))

        with tempfile.TemporaryDirectory() as folder:
            blobs = BlobStore(Path(folder))
            prompts = [model.prompt(blobs.put(look.image), look.question) for look in looks]
            return run_prompts(model, prompts, blobs, self._settings, write)
