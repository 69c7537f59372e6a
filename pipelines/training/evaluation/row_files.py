"""Files of unknown origin to rows, each with its place: JSON lines, JSON and CSV."""

from __future__ import annotations

import csv
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple


class Row(NamedTuple):
    """A row as it stands in its file."""

    place: str
    value: Any
    """None if it is not JSON."""


def rows_of(file: Path, folder: Path) -> Iterator[Row]:
    """The rows of a file with their places; a line that is not JSON is a row, too.

    Args:
        file: JSON lines, JSON (a list, or an object of rows) or CSV with a head.
        folder: From which the file is named.

    Raises:
        ValueError: A JSON or CSV file cannot be read as a whole.
    """
    name = file.relative_to(folder).as_posix()
    read = {".jsonl": _json_lines, ".json": _json_list, ".csv": _table}[file.suffix]
    for number, value in enumerate(read(file), start=1):
        yield Row(f"{name}:{number}", value)


def _json_lines(file: Path) -> Iterator[Any]:
    with file.open("rb") as lines:
        for line in lines:
            if line.strip():
                yield _loaded(line)


def _loaded(line: bytes) -> Any:
    try:
        return json.loads(line.decode())
    except (ValueError, RecursionError):
        return None


def _json_list(file: Path) -> Iterator[Any]:
    """The rows of a JSON list, or of an object of objects."""
    whole = _loaded(file.read_bytes())
    if not isinstance(whole, list | dict):
        raise ValueError(f"{file} is neither a JSON list nor an object")
    yield from whole.values() if isinstance(whole, dict) else whole


def _table(file: Path) -> Iterator[Any]:
    try:
        with file.open(newline="", encoding="utf-8-sig", errors="replace") as lines:
            yield from csv.DictReader(lines)
    except csv.Error as error:
        raise ValueError(f"{file} is not CSV: {error}") from None
