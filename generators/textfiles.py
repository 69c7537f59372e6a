"""Texts in files: a text a line (.txt), or a column of a .csv, .jsonl or .parquet file."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa

from generators.archives import open_parquet, parquet_rows
from generators.corpora import CARRIED, LINE_BYTES, Pool, Row, SourceError, printable

COLUMNS = ("text", "caption")
"""The column is the first of these that is there, unless one is asked for."""


class Lines:
    """A text a line."""

    def __init__(self, path: Path, column: str = "") -> None:
        if column:
            raise SourceError(f"{path} has no columns, but column {column!r} was asked for")
        self._path = path.resolve()
        self._pool = Pool("text", printable(path.name))

    def rows(self) -> Iterator[Row]:
        """One row a line."""
        for number, line in enumerate(_lines(self._path), 1):
            name = f"line {number}"
            yield too_long(self._pool, name) if line is None else text_row(self._pool, name, line, {})


class Jsonl:
    """A JSON object a line; the column is chosen by the first line that is one."""

    def __init__(self, path: Path, column: str = "") -> None:
        self._path = path.resolve()
        self._pool = Pool("text", printable(path.name))
        records = (_json(line) for line in _lines(self._path) if line is not None)
        first = next((record for record in records if isinstance(record, dict)), None)
        if first is None:
            raise SourceError(f"no line of {path} is a JSON object")
        self._column = text_column(path, list(first), column)

    def rows(self) -> Iterator[Row]:
        """One row a line."""
        for number, line in enumerate(_lines(self._path), 1):
            yield self._row(f"line {number}", line)

    def _row(self, name: str, line: str | None) -> Row:
        if line is None:
            return too_long(self._pool, name)
        if _undecoded(line):
            return self._pool.excluded(name, "not_utf8")
        record = _json(line)
        if isinstance(record, Exception):
            return self._pool.excluded(name, "malformed", str(record))
        text = record.get(self._column) if isinstance(record, dict) else None
        if not isinstance(text, str):
            return self._pool.excluded(name, "malformed", f"no string `{self._column}`")
        return text_row(self._pool, name, text, other_columns(record, self._column))


DELIMITERS = ",;\t"
"""Of CSV files, the likeliest first."""


def _delimiter(header: str) -> str:
    """What parts the most fields; what stands within quotes parts none."""
    unquoted = re.sub(r'"[^"]*"', "", header)
    return max(DELIMITERS, key=unquoted.count)


class CsvTexts:
    """A column of a CSV file with a header; a row whose number of fields differs from it is malformed.

    Fields are parted by what parts the header: commas, or else semicolons or tabs, as some spreadsheets write.
    """

    def __init__(self, path: Path, column: str = "") -> None:
        self._path = path.resolve()
        self._pool = Pool("text", printable(path.name))
        self._delimiter = _delimiter(next(_lines(self._path), "") or "")
        header = next(self._fields(), [])
        if isinstance(header, csv.Error):
            raise SourceError(f"the header of {path} cannot be read: {header}")
        self._header = header
        self._column = text_column(path, header, column)

    def rows(self) -> Iterator[Row]:
        """One row a record after the header."""
        records = self._fields()
        next(records)
        for number, fields in enumerate(records, 1):
            yield self._row(f"row {number}", fields)

    def _row(self, name: str, fields: list[str] | csv.Error) -> Row:
        if isinstance(fields, csv.Error):
            reason = "too_long" if "larger than" in str(fields) else "malformed"
            return self._pool.excluded(name, reason, str(fields))
        if len(fields) != len(self._header):
            detail = f"{len(fields)} fields, the header has {len(self._header)}"
            return self._pool.excluded(name, "malformed", detail)
        record = dict(zip(self._header, fields, strict=True))
        return text_row(self._pool, name, record[self._column], other_columns(record, self._column))

    def _fields(self) -> Iterator[list[str] | csv.Error]:
        """The records, and an error in place of each that cannot be parsed; blank lines are none."""
        csv.field_size_limit(LINE_BYTES)
        # A line over the cap becomes a field over csv's own limit, so that it is reported like one.
        long = "x" * (LINE_BYTES + 1)
        lines = (long if line is None else line for line in _lines(self._path))
        reader = csv.reader(lines, strict=True, delimiter=self._delimiter)
        while True:
            try:
                fields = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield error
                continue
            if fields:
                yield fields


class ParquetTexts:
    """A string column of a Parquet file."""

    def __init__(self, path: Path, column: str = "") -> None:
        self._path = path.resolve()
        self._pool = Pool("text", printable(path.name))
        schema = open_parquet(path).schema_arrow
        self._column = text_column(path, schema.names, column)
        kind = schema.field(self._column).type
        kind = kind.value_type if pa.types.is_dictionary(kind) else kind
        if not (pa.types.is_string(kind) or pa.types.is_large_string(kind)):
            raise SourceError(f"{path}: the column {self._column!r} is {kind}; it must be strings")

    def rows(self) -> Iterator[Row]:
        """One row a row."""
        columns = tuple(dict.fromkeys((self._column, *CARRIED)))
        for number, (_, _, record) in enumerate(parquet_rows(self._path, columns)):
            yield self._row(f"row {number}", record)

    def _row(self, name: str, record: Any) -> Row:
        if isinstance(record, Exception):
            return self._pool.failed(name, record)
        text = record[self._column]
        if isinstance(text, UnicodeDecodeError):
            return self._pool.excluded(name, "not_utf8")
        if len(text or "") > LINE_BYTES:
            return too_long(self._pool, name)
        return text_row(self._pool, name, text or "", other_columns(record, self._column))


def text_column(source: object, there: Sequence[str], asked: str) -> str:
    """Choose the column of the text; SourceError names the columns there are."""
    names = ", ".join(printable(name) for name in there) or "none"
    if asked:
        if asked not in there:
            raise SourceError(f"{source} has no column {asked!r}; its columns: {names}")
        return asked
    for name in (*COLUMNS, *(there if len(there) == 1 else ())):
        if name in there:
            return name
    raise SourceError(f"{source} has no column `text` or `caption`; name one of its columns: {names}")


def _lines(path: Path) -> Iterator[str | None]:
    """The lines of a file with undecodable bytes escaped as surrogates; None for one over `LINE_BYTES`."""
    with path.open("rb") as file:
        first = True
        while line := file.readline(LINE_BYTES + 1):
            if len(line) > LINE_BYTES:
                while line and not line.endswith(b"\n"):
                    line = file.readline(LINE_BYTES)
                yield None
            else:
                yield line.decode("utf-8-sig" if first else "utf-8", "surrogateescape")
            first = False


def _undecoded(text: str) -> bool:
    """Whether `surrogateescape` had to stand in for bytes that are not UTF-8."""
    return any("\udc80" <= character <= "\udcff" for character in text)


def _json(line: str) -> Any:
    try:
        return json.loads(line)
    except (ValueError, RecursionError) as error:
        return error


def other_columns(record: Mapping[str, Any], column: str) -> dict[str, Any]:
    """The carried columns but the text's own, which is no caption of itself."""
    return {key: record[key] for key in CARRIED if key in record and key != column}


def text_row(pool: Pool, name: str, text: str, carried: Mapping[str, Any]) -> Row:
    """An asset, unless the text cannot be written as UTF-8 and so cannot travel."""
    try:
        text.encode()
    except UnicodeEncodeError:
        # JSON can escape any lone surrogate; only bytes that were not UTF-8 give them elsewhere.
        escaped = pool.source.endswith((".jsonl", ".JSONL"))
        return pool.excluded(name, "lone_surrogate" if escaped else "not_utf8")
    return pool.asset(text, name, carried)


def too_long(pool: Pool, name: str) -> Row:
    return pool.excluded(name, "too_long", f"over {LINE_BYTES} bytes")
