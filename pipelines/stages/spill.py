"""Spill: records in, a `Group` for each of their keys out once all are on disk; drops nothing.

The in-process engines hold what they group in memory, several times over. A whole pool is grouped here instead,
so that memory does not follow its size; the next step reads a group when it works on it.
"""

from __future__ import annotations

import uuid
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms.window import GlobalWindow
from apache_beam.utils.windowed_value import WindowedValue

from pipelines.storage.spill import Group, SpillFile, Value

BATCH = 512
"""Values written in one transaction."""


class Spill(beam.PTransform[Any, Any]):
    """Records -> `Group`s, one for each key.

    Args:
        file: Where the values go.
        value_of: A record's key, place and bytes.
    """

    def __init__(self, file: SpillFile, value_of: Callable[[Any], Value]) -> None:
        super().__init__()
        self._write = _Write(file, value_of)

    def expand(self, records: Any) -> Any:
        """Write, and group what the bundles wrote by key."""
        return records | "Write" >> beam.ParDo(self._write) | beam.GroupByKey() | beam.MapTuple(_group)


class _Write(beam.DoFn):
    """Writes values in batches, and says at the end of a bundle how many of each key there were."""

    def __init__(self, file: SpillFile, value_of: Callable[[Any], Value]) -> None:
        self._file, self._value_of = file, value_of

    def start_bundle(self) -> None:
        self._bundle = uuid.uuid4().hex
        self._pending: list[Value] = []
        self._counts: Counter[str] = Counter()

    def process(self, record: Any) -> None:
        self._pending.append(self._value_of(record))
        if len(self._pending) == BATCH:
            self._flush()

    def finish_bundle(self) -> Iterator[WindowedValue]:
        self._flush()
        window = GlobalWindow()
        for key, count in sorted(self._counts.items()):
            yield WindowedValue((key, (self._bundle, count)), window.max_timestamp(), (window,))

    def _flush(self) -> None:
        if self._pending:
            self._file.write(self._bundle, self._counts.total(), self._pending)
            self._counts.update(value.key for value in self._pending)
            self._pending = []


def _group(key: str, wrote: Iterable[tuple[str, int]]) -> Group:
    bundles = sorted(wrote)
    return Group(key, sum(count for _, count in bundles), tuple(bundle for bundle, _ in bundles))
