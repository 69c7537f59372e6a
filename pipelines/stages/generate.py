"""Generate: prompts made from the scenarios in; a `RawAsset` for each image or text out; refusals excluded.

Everything goes through the inference cache, a few prompts at a time, so that a killed build draws nothing twice.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

import apache_beam as beam

from generators.corpora import printable, row_id
from pipelines.models.generation import ImageMaker, Made, Maker
from pipelines.progress import Tally
from pipelines.storage.blobs import BlobStore
from pipelines.storage.cache import CachedInference, InferenceError
from pipelines.storage.workspace import Workspace
from schemas.records import Excluded, Failed, Modality, Provenance, RawAsset, said_by

STAGE = "generate"
CHUNK = 32
"""Prompts that one worker takes at a time, and after which results are stored."""


class Generate(beam.PTransform[Any, Any]):
    """A pipeline -> `{"kept": RawAsset, "excluded", "failed"}`, together every prompt exactly once.

    Args:
        modality: `image` or `text`.
        prompts: What to make.
        maker: Makes it.
        workspace: Where the cache is.
        tally: Of the ingest stage: told what to expect, and what was dropped here.
    """

    def __init__(
        self,
        modality: Modality,
        prompts: Sequence[Any],
        maker: Maker,
        *,
        workspace: Workspace,
        tally: Tally,
    ) -> None:
        super().__init__()
        self._prompts, self._tally = list(prompts), tally
        self._make = _Make(modality, maker, workspace, tally)

    def expand(self, pipeline: Any) -> dict[str, Any]:
        """Spread the prompts and make."""
        self._tally.expect(len(self._prompts))
        chunks = [self._prompts[start : start + CHUNK] for start in range(0, len(self._prompts), CHUNK)]
        make = beam.ParDo(self._make).with_outputs("excluded", "failed", main="kept")
        rows = pipeline | "Prompts" >> beam.Create(chunks) | "Spread" >> beam.Reshuffle() | "Make" >> make
        return {name: rows[name] for name in ("kept", "excluded", "failed")}


class _Make(beam.DoFn):
    def __init__(self, modality: Modality, maker: Maker, workspace: Workspace, tally: Tally) -> None:
        self._modality, self._maker, self._workspace, self._tally = modality, maker, workspace, tally

    def setup(self) -> None:
        self._infer: Any = CachedInference(self._maker, self._workspace, self._tally, flush=CHUNK)

    def process(self, prompts: list[Any]) -> Iterator[Any]:
        keys = [hashlib.sha256("\0".join(map(str, prompt)).encode()).hexdigest() for prompt in prompts]
        results = self._known(keys, prompts)
        for prompt, result in zip(prompts, results, strict=True):
            yield self._row(self._maker.generator.provenance(prompt), result)

    def finish_bundle(self) -> None:
        self._tally.flush()

    def _known(self, keys: list[str], prompts: list[Any]) -> list[Any]:
        """Results of the cache or the model; an image whose blob was cleaned away fails and says so."""
        results: list[Any] = self._infer(list(zip(keys, prompts, strict=True)))
        if not isinstance(self._maker, ImageMaker):
            return results
        blobs = self._workspace.blobs()
        return [_checked(key, result, blobs) for key, result in zip(keys, results, strict=True)]

    def _row(self, provenance: Provenance, result: Any) -> Any:
        id = row_id(self._modality, provenance.source, provenance.name)
        if isinstance(result, InferenceError):
            error, said = type(result.cause).__name__, printable(said_by(result.cause))
            row: Any = Failed(self._modality, id, provenance.name, STAGE, error, said)
            return self._dropped("failed", row)
        made = Made.decode(result)
        if made.reason:
            detail = printable(made.detail or provenance.prompt)
            row = Excluded(self._modality, id, provenance.name, STAGE, made.reason, detail=detail)
            return self._dropped("excluded", row)
        return RawAsset(made.locator, provenance)

    def _dropped(self, name: str, row: Excluded | Failed) -> Any:
        self._tally.count("in")
        self._tally.count(name)
        return beam.pvalue.TaggedOutput(name, row)


def _checked(key: str, result: Any, blobs: BlobStore) -> Any:
    if isinstance(result, InferenceError):
        return result
    made = Made.decode(result)
    if made.locator and made.locator not in blobs:
        cleaned = FileNotFoundError(
            f"blob {made.locator} was drawn before and is gone; use another --work-dir"
        )
        return InferenceError(key, cleaned)
    return result


class DrawnImages:
    """What was drawn, as a source that ingest reads (an `ImageSource` without rows); a locator is a blob id.

    Args:
        workspace: Where the blobs are.
    """

    def __init__(self, workspace: Workspace) -> None:
        self._workspace = workspace

    def rows(self) -> Iterator[Any]:
        """None: the rows come from `Generate`."""
        return iter(())

    def read(self, locator: str, max_bytes: int) -> bytes:
        """The stored PNG; raises OSError if it is gone."""
        try:
            return self._workspace.blobs().get(locator)
        except KeyError as error:
            raise OSError(str(error)) from None

    def identity(self, locator: str) -> str:
        """The blob's id is the digest of its bytes."""
        return f"blob {locator}"
