"""Sources: a pool of images or texts in; its `RawAsset`s out, spread over workers; unusable rows excluded."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import islice
from typing import Any

import apache_beam as beam

from generators.corpora import Row, Source
from pipelines.progress import Tally
from pipelines.storage.packing import pack, unpack
from schemas.records import Excluded, Failed, RawAsset

CHUNK = 256
"""Rows that one worker takes at a time, in the source's order, at least."""


class ReadRows(beam.PTransform[Any, Any]):
    """A pipeline -> `{"kept": RawAsset, "excluded", "failed"}`, together every row of a source exactly once.

    Rows are listed by one worker and read where they are needed; no pixels are touched here.

    Args:
        source: The pool, of images or of texts.
        limit: The most rows to list, from the first on.
        tally: Of the ingest stage: told what to expect, and what was dropped here.
        part_of: Names the part of the source that a locator is in; neighbours of one part go to one worker together,
            because going back in it would be slow.
    """

    def __init__(
        self, source: Source, limit: int, tally: Tally, part_of: Callable[[str], str] | None = None
    ) -> None:
        super().__init__()
        self._list = _ListRows(source, limit, tally, part_of)

    def expand(self, pipeline: Any) -> dict[str, Any]:
        """List in chunks and spread them."""
        listing = beam.ParDo(self._list).with_outputs("excluded", "failed", main="chunks")
        rows = pipeline | "Start" >> beam.Impulse() | "List" >> listing
        packed = rows["chunks"] | "Pack" >> beam.Map(pack)
        kept = packed | "Spread" >> beam.Reshuffle() | "Unpack" >> beam.FlatMap(unpack)
        return {"kept": kept, "excluded": rows["excluded"], "failed": rows["failed"]}


class _ListRows(beam.DoFn):
    def __init__(
        self, source: Source, limit: int, tally: Tally, part_of: Callable[[str], str] | None
    ) -> None:
        self._source = source
        self._limit = limit
        self._tally = tally
        self._part_of = part_of

    def process(self, _: Any) -> Iterator[Any]:
        chunk: list[RawAsset] = []
        for row in islice(self._source.rows(), self._limit):
            if not isinstance(row, RawAsset):
                yield self._dropped(row)
                continue
            if len(chunk) >= CHUNK and not self._together(chunk[-1], row):
                yield self._expected(chunk)
                chunk = []
            chunk.append(row)
        if chunk:
            yield self._expected(chunk)
        self._tally.flush()

    def _together(self, one: RawAsset, next_one: RawAsset) -> bool:
        return self._part_of is not None and self._part_of(one.locator) == self._part_of(next_one.locator)

    def _expected(self, chunk: list[RawAsset]) -> list[RawAsset]:
        self._tally.expect(len(chunk))
        return chunk

    def _dropped(self, row: Row) -> Any:
        name = "excluded" if isinstance(row, Excluded) else "failed"
        assert isinstance(row, Excluded | Failed)
        self._tally.expect(1)
        self._tally.count("in")
        self._tally.count(name)
        return beam.pvalue.TaggedOutput(name, row)
