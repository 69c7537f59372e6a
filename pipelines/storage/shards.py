"""Parquet shards whose bytes depend on their rows alone: where a row goes, how it is written, what is stale.

A file appears under its name only when it is complete; a killed run leaves at most hidden `.part` files.
"""

from __future__ import annotations

import hashlib
import json
import os
import re
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.records import SPLITS
from schemas.tables import MEDIA_COLUMNS

CHUNKING = {"min_chunk_size": 256 * 1024, "max_chunk_size": 1024 * 1024, "norm_level": 0}
"""Content-defined chunking in bytes, the defaults of `datasets` 5.2 (`config.DEFAULT_CDC_OPTIONS`)."""
KINDS = {"data": SPLITS, "excluded": ("excluded",), "failed": ("failed",)}
"""Folder of a dataset to the kinds of shards in it."""

_SHARD = r"(?P<kind>[a-z_]+)-\d{5}-of-\d{5}\.parquet"
_OURS = re.compile(rf"{_SHARD}|\.{_SHARD.replace('kind', 'part')}-[0-9a-f]{{32}}\.part")

Row = Mapping[str, Any]


class ShardFile(NamedTuple):
    """A file of the dataset, as the manifest lists it."""

    path: str
    """Relative to the dataset's directory, with forward slashes."""
    kind: str
    """The split, or `excluded` or `failed`."""
    rows: int
    bytes: int
    sha256: str


def shard_count(rows: int, rows_per_shard: int) -> int:
    """How many shards hold that many rows; none for no rows."""
    return -(-rows // rows_per_shard)


def place_of(key: str) -> str:
    """Where a row comes in its series: the first 64 bits of the key's sha256, as 16 hex digits."""
    return hashlib.sha256(key.encode("utf-8", "backslashreplace")).hexdigest()[:16]


def places_of(index: int, shards: int) -> tuple[str, str | None]:
    """The places that a shard holds, from the first one to before the second (None: to the end)."""
    low, high = (-(-(number << 64) // shards) for number in (index, index + 1))
    return f"{low:016x}", f"{high:016x}" if index + 1 < shards else None


def shard_path(folder: str, kind: str, index: int, shards: int) -> str:
    """Path of a shard in its dataset, as in `data/train-00000-of-00004.parquet`."""
    return f"{folder}/{kind}-{index:05}-of-{shards:05}.parquet"


def write_shard(path: Path, schema: pa.Schema, rows: Iterable[Row], row_group: int) -> int:
    """Write rows as one Parquet file, the way `datasets` 5.2 does, and return how many there were.

    `rows` is consumed a row group at a time, so no more than one is in memory. Characters that UTF-8 cannot
    hold (lone surrogates) are written as backslash escapes.

    Args:
        path: The file; a file of that name is replaced once the new one is complete.
        schema: Every column of every row, with the metadata to store.
        rows: In the order to write them, one key a column.
        row_group: Rows in a row group.
    """
    written = 0
    with _replacing(path) as temporary, pq.ParquetWriter(temporary, schema, **_options(schema)) as writer:
        iterator = iter(rows)
        while count := _write_group(writer, list(map(_storable, islice(iterator, row_group)))):
            written += count
        writer.add_key_value_metadata({"content_defined_chunking": json.dumps(CHUNKING)})
    return written


def describe(directory: Path, path: str, kind: str, rows: int) -> ShardFile:
    """Measure a written file, reading it as a stream."""
    with (directory / path).open("rb") as file:
        digest = hashlib.file_digest(file, "sha256").hexdigest()
        return ShardFile(path, kind, rows, file.tell(), digest)


def remove_stale(directory: Path, written: Iterable[str]) -> list[str]:
    """Delete shards and temporary files of earlier builds, and return their paths in the dataset, sorted.

    Only regular files of the names that `write_shard` gives are touched, in the folders where it puts them.

    Args:
        directory: The dataset's directory.
        written: Paths (relative to it) of the files to keep.
    """
    keep = set(written)
    found = [
        f"{folder}/{path.name}"
        for folder, kinds in KINDS.items()
        for path in sorted((directory / folder).glob("*"))
        if _is_ours(path, kinds)
    ]
    stale = [path for path in found if path not in keep]
    for path in stale:
        (directory / path).unlink()
    return stale


def _is_ours(path: Path, kinds: tuple[str, ...]) -> bool:
    match = _OURS.fullmatch(path.name)
    return (
        bool(match and (match["kind"] or match["part"]) in kinds) and path.is_file() and not path.is_symlink()
    )


def _options(schema: pa.Schema) -> dict[str, Any]:
    """Arguments of `ParquetWriter`; pyarrow takes column options by the path of the leaf."""
    media: list[str] = []
    plain: list[str] = []
    for field in schema:
        (media if field.name in MEDIA_COLUMNS else plain).extend(_leaves(field.name, field.type))
    return {
        "use_content_defined_chunking": CHUNKING,
        "write_page_index": True,
        "compression": {**dict.fromkeys(plain, "snappy"), **dict.fromkeys(media, "none")},
        "use_dictionary": plain,
        "column_encoding": dict.fromkeys(media, "PLAIN") or None,
    }


def _leaves(path: str, type_: pa.DataType) -> list[str]:
    if pa.types.is_struct(type_):
        return [leaf for field in type_ for leaf in _leaves(f"{path}.{field.name}", field.type)]
    if pa.types.is_list(type_):
        return _leaves(f"{path}.list.element", type_.value_type)
    return [path]


def _write_group(writer: pq.ParquetWriter, rows: list[dict[str, Any]]) -> int:
    """Write one row group, if there are rows; nobody may keep a reference to them, as they hold pictures."""
    if rows:
        writer.write_batch(pa.RecordBatch.from_pylist(rows, schema=writer.schema), row_group_size=len(rows))
    return len(rows)


def _storable(row: Row) -> dict[str, Any]:
    return {
        name: value.encode("utf-8", "backslashreplace").decode() if isinstance(value, str) else value
        for name, value in row.items()
    }


@contextmanager
def _replacing(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the body ends well."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
