"""Ingest: `RawAsset`s in; images decoded, stored and hashed, texts normalised; the unusable excluded.

What an image became is remembered in the cache, so a later run neither draws nor decodes it again.
"""

from __future__ import annotations

import hashlib
from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from typing import Any

import apache_beam as beam
import PIL

from generators.corpora import ImageSource, TooLarge, printable, row_id
from generators.decode import Unusable, normalise_text
from pipelines.models import faces
from pipelines.processes import FEW, Broken, Task
from pipelines.progress import Tally
from pipelines.stages.decoding import Stored, stored_or_why
from pipelines.storage.cache import decode_json, encode_json
from pipelines.storage.workspace import Workspace
from schemas import config
from schemas.records import Excluded, Failed, ImageAsset, Modality, RawAsset, TextAsset

STAGE = "ingest"
BATCH = 256
"""Images decoded between two writes of the cache."""
AHEAD = 2
"""Images, for every process, that are read before the first of them is decoded; more would only take memory."""

Outcome = Stored | Unusable | Broken
Begun = Future[Outcome] | Task[Outcome]


def fingerprint(caps: config.Ingest) -> str:
    """What an image becomes depends on this (and on its bytes): configuration and version of decoder and blurring."""
    blurring = faces.version() if caps.blur_faces else ""
    depends = f"ingest-v2 {PIL.__version__} {caps.model_dump_json()} {blurring}"
    return hashlib.sha256(depends.encode()).hexdigest()


def ingest_text(raw: RawAsset, max_characters: int) -> TextAsset | Excluded:
    """Normalise a text, or say why it cannot be used."""
    try:
        text = normalise_text(raw.locator, max_characters)
    except Unusable as why:
        return _excluded("text", raw, why)
    return TextAsset(hashlib.sha256(text.encode()).hexdigest(), text, raw.provenance)


def _excluded(modality: Modality, raw: RawAsset, why: Unusable) -> Excluded:
    source, name = raw.provenance.source, raw.provenance.name
    id = row_id(modality, source, name)
    return Excluded(modality, id, name, STAGE, why.reason, why.score, why.threshold, printable(why.detail))


def _image_row(raw: RawAsset, outcome: Outcome) -> ImageAsset | Excluded | Failed:
    if isinstance(outcome, Stored):
        id, width, height, hashed, blurred = outcome
        return ImageAsset(id, width, height, hashed, raw.provenance, faces_blurred=blurred)
    if isinstance(outcome, Unusable):
        return _excluded("image", raw, outcome)
    source, name = raw.provenance.source, raw.provenance.name
    id = row_id("image", source, name)
    return Failed("image", id, name, STAGE, outcome.error, printable(outcome.message))


class IngestImages(beam.PTransform[Any, Any]):
    """`RawAsset` -> `{"kept": ImageAsset, "excluded", "failed"}`.

    Args:
        config: Caps.
        source: Reads the assets' locators.
        workspace: Blob store and cache.
        tally: Counts `in`, `kept`, `excluded`, `failed`, `cached` and `inferred` (read and decoded anew), and
            `faces_blurred` in what is kept.
        processes: Images decoded at once, where there are many.
    """

    def __init__(
        self,
        config: config.Ingest,
        source: ImageSource,
        *,
        workspace: Workspace,
        tally: Tally,
        processes: int = 1,
    ) -> None:
        super().__init__()
        self._ingest = _IngestImages(config, source, workspace, tally, processes)

    def expand(self, raw: Any) -> dict[str, Any]:
        """Ingest in batches, without a shuffle."""
        ingest = beam.ParDo(self._ingest).with_outputs("excluded", "failed", main="kept")
        rows = raw | "Batch" >> beam.BatchElements(BATCH, BATCH) | "Decode" >> ingest
        return {name: rows[name] for name in ("kept", "excluded", "failed")}


class IngestTexts(beam.PTransform[Any, Any]):
    """`RawAsset` -> `{"kept": TextAsset, "excluded", "failed"}`; of texts none fails.

    Args:
        config: Caps.
        tally: Counts `in`, `kept`, `excluded`.
    """

    def __init__(self, config: config.Ingest, *, tally: Tally) -> None:
        super().__init__()
        self._ingest = _IngestTexts(config.max_characters, tally)

    def expand(self, raw: Any) -> dict[str, Any]:
        """Normalise one by one."""
        rows = raw | "Normalise" >> beam.ParDo(self._ingest).with_outputs("excluded", "failed", main="kept")
        return {name: rows[name] for name in ("kept", "excluded", "failed")}


def _tagged(row: ImageAsset | TextAsset | Excluded | Failed, tally: Tally) -> Any:
    """The row on its output, counted."""
    name = {Excluded: "excluded", Failed: "failed"}.get(type(row), "kept")
    tally.count("in")
    tally.count(name)
    return row if name == "kept" else beam.pvalue.TaggedOutput(name, row)


class _IngestTexts(beam.DoFn):
    def __init__(self, max_characters: int, tally: Tally) -> None:
        self._max_characters = max_characters
        self._tally = tally

    def process(self, raw: RawAsset) -> Iterator[Any]:
        yield _tagged(ingest_text(raw, self._max_characters), self._tally)

    def finish_bundle(self) -> None:
        self._tally.flush()


class _IngestImages(beam.DoFn):
    def __init__(
        self,
        caps: config.Ingest,
        source: ImageSource,
        workspace: Workspace,
        tally: Tally,
        processes: int,
    ) -> None:
        self._caps = caps
        self._source = source
        self._blobs = workspace.blobs()
        self._cache = workspace.cache(fingerprint(caps))
        self._tally = tally
        self._processes = processes

    def process(self, batch: list[RawAsset]) -> Iterator[Any]:
        keys = [self._key(raw) for raw in batch]
        known = self._cache.get_many([key for key in keys if isinstance(key, str)])
        outcomes = self._outcomes(batch, keys, known)
        new: dict[str, bytes] = {}
        for raw, key, outcome in zip(batch, keys, outcomes, strict=True):
            if isinstance(key, str) and key not in known:
                new.update(_entry(key, outcome))
            if isinstance(outcome, Stored) and outcome.faces_blurred > 0:
                self._tally.count("faces_blurred", outcome.faces_blurred)
            yield _tagged(_image_row(raw, outcome), self._tally)
        self._cache.put_many(new)

    def finish_bundle(self) -> None:
        self._tally.flush()

    def _key(self, raw: RawAsset) -> str | Broken:
        try:
            return hashlib.sha256(self._source.identity(raw.locator).encode()).hexdigest()
        except OSError as error:
            return Broken.of(error)

    def _outcomes(
        self, batch: list[RawAsset], keys: list[str | Broken], known: dict[str, bytes]
    ) -> Iterator[Outcome]:
        """What became of each row; some are read while those before are decoded, so that all cores have work."""
        many = self._processes > 1 and len(batch) - len(known) > FEW
        with ThreadPoolExecutor(1) as thread:
            begin: Callable[..., Begun] = partial(Task, self._processes) if many else thread.submit
            pending: deque[Outcome | Begun] = deque()
            for raw, key in zip(batch, keys, strict=True):
                outcome = key if isinstance(key, Broken) else self._known(known.get(key))
                pending.append(self._begun(raw, begin) if outcome is None else outcome)
                if len(pending) > AHEAD * self._processes:
                    yield _ended(pending.popleft())
            yield from map(_ended, pending)

    def _known(self, entry: bytes | None) -> Outcome | None:
        """What the cache remembers, unless the blob store was cleaned since."""
        outcome = None if entry is None else _outcome(entry)
        if outcome is None or (isinstance(outcome, Stored) and outcome.id not in self._blobs):
            return None
        self._tally.count("cached")
        return outcome

    def _begun(self, raw: RawAsset, begin: Callable[..., Begun]) -> Outcome | Begun:
        """Read an image, and leave its decoding to a thread or a process."""
        self._tally.count("inferred")
        try:
            data = self._source.read(raw.locator, self._caps.max_bytes)
        except TooLarge as error:
            return Unusable("too_many_bytes", "", error.size, self._caps.max_bytes)
        except Unusable as why:
            return why
        except Exception as error:  # noqa: BLE001 - readers of hostile files may raise anything; it is in the row
            return Broken.of(error)
        return begin(stored_or_why, data, self._caps_of(raw), self._blobs)

    def _caps_of(self, raw: RawAsset) -> config.Ingest:
        """Nobody is to be recognised in what was generated."""
        retrieved = raw.provenance.origin == "retrieved"
        return self._caps if retrieved else self._caps.model_copy(update={"blur_faces": False})


def _ended(outcome: Outcome | Begun) -> Outcome:
    return outcome.result() if isinstance(outcome, Future | Task) else outcome


def _entry(key: Any, outcome: Outcome) -> dict[str, bytes]:
    """What to remember; failures are tried again."""
    if isinstance(outcome, Stored):
        return {key: encode_json(list(outcome))}
    if isinstance(outcome, Unusable):
        why = [outcome.reason, printable(outcome.detail), outcome.score, outcome.threshold]
        return {key: encode_json({"unusable": why})}
    return {}


def _outcome(entry: bytes) -> Outcome:
    value = decode_json(entry)
    return Unusable(*value["unusable"]) if isinstance(value, dict) else Stored(*value)
