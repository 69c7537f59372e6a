"""Images and texts of a dataset that is streamed with `datasets`, from the hub or from this machine.

Rows are listed without their images where the layout allows it (Parquet); elsewhere a file is streamed once to list
it and once more to read it. Nothing is kept of either, and no address in a row is fetched.
"""

from __future__ import annotations

import atexit
from collections.abc import Generator, Iterator, Mapping
from itertools import islice
from typing import Any, NamedTuple

from generators.corpora import CARRIED, LINE_BYTES, Pool, Row, SourceError, TooLarge
from generators.decode import Unusable
from generators.hub_datasets import Opened, open_dataset, reading_errors, spelled
from generators.textfiles import other_columns, text_column, text_row, too_long
from schemas.records import said_by
from schemas.references import DatasetReference

LISTED = 1000
"""Rows of a Parquet file that are held at once while rows are listed without images."""
Part = tuple[int, int]
"""Number of a file of the split, and of a row group in it (0 where a file has none)."""


class _Cursor(NamedTuple):
    """The rows of a part that are still to be read."""

    part: Part
    row: int
    records: Generator[Any]


class StreamedImages:
    """The images of one split; a locator is file, row group and row.

    The column is `image`, else the only one that `datasets` takes for images (in a WebDataset all of them).

    Args:
        source: As `DatasetReference` spells it.

    Raises:
        SourceError: It cannot be opened, or has no such column.
    """

    def __init__(self, source: str) -> None:
        self._reference = reference = DatasetReference.parse(source)
        self._pool = Pool("image", spelled(reference))
        self._opened: Opened | None = (opened := open_dataset(reference))
        self._columns = _image_columns(reference, opened)
        self._identity = opened.identity
        self._cursor: _Cursor | None = None

    def __getstate__(self) -> dict[str, Any]:
        return self.__dict__ | {"_opened": None, "_cursor": None}

    def rows(self) -> Iterator[Row]:
        """List the rows in the order of the files; what follows damage in a file is one failed row."""
        opened = self._open()
        listed = [name for name in opened.columns if name not in self._columns]
        # A Parquet file needs some column to be read, or it has no rows.
        wanted = [name for name in listed if name in CARRIED] or listed[:1]
        if opened.layout == "parquet" and wanted:
            opened = open_dataset(self._reference, wanted, LISTED)
        for number, (part, row, record) in enumerate(_records(opened)):
            name = f"row {number}"
            if isinstance(record, Exception):
                yield self._pool.failed(f"{name} and after, in file {part[0]}", record)
            else:
                yield self._pool.asset(f"{part[0]}:{part[1]}:{row}", name, _carried(record, opened.layout))

    def read(self, locator: str, max_bytes: int) -> bytes:
        """Read one row; a missing image is empty bytes."""
        *part, row = map(int, locator.split(":"))
        try:
            record = self._record((part[0], part[1]), row)
        except reading_errors() as error:
            self._cursor = None
            raise OSError(
                f"file {part[0]} cannot be read: {type(error).__name__}: {said_by(error)}"
            ) from None
        cells = (record.get(name) for name in self._columns)
        data = _bytes(next((cell for cell in cells if cell is not None), None))
        if len(data) > max_bytes:
            raise TooLarge(len(data))
        return data

    def identity(self, locator: str) -> str:
        """Identity of the split's files, and the place in them."""
        return f"{self._identity}\0{locator}"

    def _record(self, part: Part, row: int) -> Any:
        cursor = self._cursor
        if cursor is None or part != cursor.part or row < cursor.row:
            cursor = self._begun(part)
        record = next(islice(cursor.records, row - cursor.row, None), None)
        if record is None:
            raise EOFError(f"it ends before row {row} of row group {part[1]}")
        self._cursor = cursor._replace(row=row + 1)
        return record

    def _begun(self, part: Part) -> _Cursor:
        """The start of a part; `datasets` complains loudly of rows still open when the process ends."""
        if self._cursor:
            atexit.unregister(self._cursor.records.close)
        records: Generator[Any] = iter(_part(self._open().dataset, part))
        atexit.register(records.close)
        return _Cursor(part, 0, records)

    def _open(self) -> Opened:
        if self._opened is None:
            self._opened = open_dataset(self._reference)
        return self._opened


class StreamedTexts:
    """A column of one split.

    Args:
        source: As `DatasetReference` spells it.
        column: Column of the text; empty means `text`, `caption` or the only column.

    Raises:
        SourceError: It cannot be opened, or has no such column.
    """

    def __init__(self, source: str, column: str = "") -> None:
        self._reference = DatasetReference.parse(source)
        self._pool = Pool("text", spelled(self._reference))
        self._there = open_dataset(self._reference).columns
        self._column = text_column(self._pool.source, self._there, column)

    def rows(self) -> Iterator[Row]:
        """One row a row; what follows damage in a file is one failed row."""
        wanted = [name for name in self._there if name in (self._column, *CARRIED)]
        for number, (part, _, record) in enumerate(_records(open_dataset(self._reference, wanted, LISTED))):
            name = f"row {number}"
            if isinstance(record, Exception):
                yield self._pool.failed(f"{name} and after, in file {part[0]}", record)
            else:
                yield self._row(name, record)

    def _row(self, name: str, record: Mapping[str, Any]) -> Row:
        text = record.get(self._column)
        if not isinstance(text, str):
            return self._pool.excluded(name, "malformed", f"no string `{self._column}`")
        if len(text) > LINE_BYTES:
            return too_long(self._pool, name)
        return text_row(self._pool, name, text, other_columns(record, self._column))


def part_of(locator: str) -> str:
    """The file and row group of a locator: its rows are best read by one worker, in order."""
    return locator.rpartition(":")[0]


def _part(dataset: Any, part: Part) -> Any:
    """The rows of one row group (or file), as a dataset of their own."""
    file = dataset.shard(num_shards=dataset.num_shards, index=part[0]).reshard()
    return file.shard(num_shards=file.num_shards, index=part[1])


def _records(opened: Opened) -> Iterator[tuple[Part, int, Any]]:
    """Every row with its place; damage ends a file with an exception in place of the row."""
    for number in range(opened.dataset.num_shards):
        group = row = 0
        try:
            file = opened.dataset.shard(num_shards=opened.dataset.num_shards, index=number).reshard()
            for group in range(file.num_shards):
                records = file.shard(num_shards=file.num_shards, index=group)
                for row, record in enumerate(records):
                    yield (number, group), row, record
        except reading_errors() as error:
            yield (number, group), row, error


def _image_columns(reference: DatasetReference, opened: Opened) -> tuple[str, ...]:
    if "image" in opened.columns:
        return ("image",)
    if len(opened.images) == 1 or (opened.images and opened.layout == "webdataset"):
        return opened.images
    which = "several columns of images" if opened.images else "no column `image`"
    raise SourceError(f"{spelled(reference)} has {which}; its columns: {', '.join(opened.columns)}")


def _carried(record: Mapping[str, Any], layout: str) -> Mapping[str, Any]:
    """The columns of a row, or what lies beside the image in a WebDataset: `.txt` its caption, `.json` the rest."""
    if layout != "webdataset":
        return record
    beside = record.get("json")
    values = {key: value for key, value in beside.items() if value} if isinstance(beside, dict) else {}
    return {"caption": record.get("txt"), **values}


def _bytes(cell: Any) -> bytes:
    """The bytes of a cell; Unusable if it holds only where the image is said to be."""
    data, address = (cell.get("bytes"), cell.get("path")) if isinstance(cell, dict) else (cell, cell)
    if isinstance(data, bytes):
        return data
    if data is None and not address:
        return b""
    raise Unusable("not_embedded", f"only an address: {address}"[:300])
