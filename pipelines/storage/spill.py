"""Spill files: values by key on disk, for groups of a pool that the engine would else hold in memory."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import NamedTuple

from pipelines.storage.database import open_database, transaction

SCHEMA = """CREATE TABLE IF NOT EXISTS spilled (
    key TEXT, place TEXT, bundle TEXT, number INTEGER, value BLOB NOT NULL,
    PRIMARY KEY (key, place, bundle, number)) WITHOUT ROWID"""


class Value(NamedTuple):
    """What is stored: the group it belongs to, where in the group it sorts, and its bytes."""

    key: str
    place: str
    data: bytes


class Group(NamedTuple):
    """A key, how many values it has, and the bundles that wrote them; what another bundle wrote is void."""

    key: str
    size: int
    bundles: tuple[str, ...]


class SpillFile:
    """Values of one run in one SQLite file; pickles to its path.

    A bundle of an engine may be run again after it failed half way. So the values carry their bundle's name, and a
    reader sees those of the bundles that its `Group` lists.

    Args:
        path: The file, made at first use along with its directory.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self._connection: sqlite3.Connection | None = None

    def __reduce__(self) -> tuple[type[SpillFile], tuple[Path]]:
        return SpillFile, (self.path,)

    def write(self, bundle: str, first: int, values: Iterable[Value]) -> None:
        """Store values of a bundle, numbered from `first`, in one transaction."""
        rows = (
            (value.key, value.place, bundle, number, value.data) for number, value in enumerate(values, first)
        )
        connection = self._connected()
        with transaction(connection):
            connection.executemany("INSERT INTO spilled VALUES (?, ?, ?, ?, ?)", rows)

    def read(self, group: Group, low: str = "", high: str | None = None) -> Iterator[bytes]:
        """The values of a group with `low <= place < high` (None: no end), sorted by place."""
        statement = "SELECT bundle, value FROM spilled WHERE key = ? AND place >= ?"
        found = self._connected().execute(
            f"{statement} {'' if high is None else 'AND place < ?'} ORDER BY place, bundle, number",
            (group.key, low, *(() if high is None else (high,))),
        )
        bundles = frozenset(group.bundles)
        yield from (value for bundle, value in found if bundle in bundles)

    def _connected(self) -> sqlite3.Connection:
        if self._connection is None:
            self._connection = open_database(self.path, SCHEMA, "OFF")
        return self._connection
