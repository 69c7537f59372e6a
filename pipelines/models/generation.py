"""Generators behind the inference cache: a prompt to the id of a stored image, or to a text, or to a refusal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from generators.diffusion import DiffusionGenerator, ImagePrompt
from generators.language import LanguageGenerator, TextPrompt, Written
from pipelines.storage.workspace import Workspace


class Made(NamedTuple):
    """What came of a prompt: a locator for ingest (a blob id, or a text), or why there is none."""

    locator: str = ""
    reason: str = ""
    """Of a refusal; empty where there is a locator."""
    detail: str = ""

    def encode(self) -> bytes:
        """As the cache keeps it."""
        return json.dumps(self, ensure_ascii=False).encode()

    @classmethod
    def decode(cls, result: bytes) -> Made:
        """What `encode` gave."""
        return cls(*json.loads(result))


class ImageMaker:
    """Prompts to blob ids; the handler that `CachedInference` asks.

    Args:
        generator: Draws.
        workspace: Where the drawn PNGs go.
    """

    def __init__(self, generator: DiffusionGenerator, workspace: Workspace) -> None:
        self.generator, self._workspace = generator, workspace

    def fingerprint(self) -> str:
        """That of the generator."""
        return self.generator.fingerprint()

    def load_model(self) -> Any:
        """Load the pipeline."""
        return self.generator.load_model()

    def run_inference(self, batch: Sequence[ImagePrompt], model: Any) -> Iterable[bytes]:
        """Draw and store."""
        blobs = self._workspace.blobs()
        for drawn in self.generator.generate(batch, model):
            made = Made(blobs.put(drawn)) if isinstance(drawn, bytes) else Made(reason=drawn.reason)
            yield made.encode()


class TextMaker:
    """Prompts to texts; the handler that `CachedInference` asks.

    Args:
        generator: Writes.
    """

    def __init__(self, generator: LanguageGenerator) -> None:
        self.generator = generator

    def fingerprint(self) -> str:
        """That of the generator."""
        return self.generator.fingerprint()

    def load_model(self) -> Any:
        """Load the model, or check the server's address."""
        return self.generator.load_model()

    def run_inference(self, batch: Sequence[TextPrompt], model: Any) -> Iterable[bytes | Exception]:
        """Write; what fails stands as its exception, so that it is asked again in the next run."""
        for outcome in self.generator.generate(batch, model):
            if isinstance(outcome, Exception):
                yield outcome
            elif isinstance(outcome, Written):
                yield Made(outcome.text).encode()
            else:
                yield Made(reason=outcome.reason, detail=outcome.detail).encode()


Maker = ImageMaker | TextMaker
