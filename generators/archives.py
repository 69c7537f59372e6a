"""Images in archives: a WebDataset tar or a Parquet file, listed and read in place."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from generators.corpora import (
    CARRIED,
    LINE_BYTES,
    Pool,
    Row,
    SourceError,
    TooLarge,
    file_identity,
    printable,
    read_capped,
)
from schemas.records import Failed, said_by

IMAGE_SUFFIXES = ("jpg", "jpeg", "jpe", "mpo", "png", "webp", "gif", "bmp", "tif", "tiff", "svg")


class WebDataset:
    """A tar of samples, as WebDataset lays them out: neighbouring members that share a name up to the dot.

    An image is a row; `.txt` beside it is its caption, `.json` its licence, source and caption. Nothing is
    extracted: locators are offset and size.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._pool = Pool("image", printable(path.name))
        try:
            tarfile.open(self._path, "r:").close()
        except (tarfile.TarError, OSError) as error:
            raise SourceError(f"{path} is not an uncompressed tar: {error}") from None

    def rows(self) -> Iterator[Row]:
        """List the images; members that are neither files nor directories are excluded."""
        with tarfile.open(self._path, "r:") as tar:
            for key, members in groupby(self._members(tar), _sample):
                yield from self._sample_rows(tar, key, list(members))

    def _members(self, tar: tarfile.TarFile) -> Iterator[tarfile.TarInfo | Failed]:
        """The members; damage ends the listing with a failed row."""
        try:
            while (member := tar.next()) is not None:
                tar.members.clear()  # type: ignore[attr-defined]  # they are kept for extraction, for ever
                if not member.isdir():
                    yield member
            with self._path.open("rb") as file:
                file.seek(tar.offset)
                if any(file.read(tarfile.BLOCKSIZE)):
                    raise tarfile.ReadError("no valid header")
        except (tarfile.TarError, OSError) as error:
            yield self._pool.failed(f"byte {tar.offset} and after", error)

    def _sample_rows(self, tar: tarfile.TarFile, key: str, members: list[Any]) -> Iterator[Row]:
        whole = [m for m in members if isinstance(m, tarfile.TarInfo) and m.isreg() and not m.issparse()]
        yield from (m for m in members if isinstance(m, Failed))
        for member in members:
            if isinstance(member, tarfile.TarInfo) and member not in whole:
                yield self._pool.excluded(member.name, "not_a_file")
        images = [m for m in whole if _suffix(m) in IMAGE_SUFFIXES]
        if whole and not images:
            yield self._pool.excluded(key, "no_image", ", ".join(m.name for m in whole))
        try:
            carried = _sidecars(tar, whole) if images else {}
        except (ValueError, RecursionError, OSError, tarfile.TarError) as error:
            yield from (self._pool.failed(m.name, error) for m in images)
            return
        yield from (self._pool.asset(f"{m.offset_data}:{m.size}", m.name, carried) for m in images)

    def read(self, locator: str, max_bytes: int) -> bytes:
        """Read one member."""
        offset, size = map(int, locator.split(":"))
        with self._path.open("rb") as file:
            file.seek(offset)
            return read_capped(file, size, max_bytes)

    def identity(self, locator: str) -> str:
        """Identity of the file, and the place in it."""
        return f"{file_identity(self._path)}\0{locator}"


def _sample(member: tarfile.TarInfo | Failed) -> str:
    if isinstance(member, Failed):
        return ""
    folder, _, name = member.name.rpartition("/")
    return f"{folder}/{name.partition('.')[0]}"


def _suffix(member: tarfile.TarInfo) -> str:
    return member.name.rpartition(".")[2].lower()


def _sidecars(tar: tarfile.TarFile, members: list[tarfile.TarInfo]) -> dict[str, Any]:
    carried: dict[str, Any] = {}
    for member in members:
        if _suffix(member) not in ("txt", "json"):
            continue
        if member.size > LINE_BYTES:
            raise ValueError(f"{member.name} has {member.size} bytes, over {LINE_BYTES}")
        file = tar.extractfile(member)
        text = file.read().decode("utf-8-sig") if file else ""
        if _suffix(member) == "txt":
            carried.setdefault("caption", text.strip())
        elif isinstance(record := json.loads(text), dict):
            carried.update({key: record[key] for key in CARRIED if record.get(key)})
    return carried


class ParquetImages:
    """A Parquet file with a column `image` of bytes, or of structs with `bytes` (Hugging Face's Image).

    Locators are row group and row. Reading in order is fast; going back starts the row group again.
    """

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._pool = Pool("image", printable(path.name))
        self._column = _image_column(open_parquet(path), path)
        self._cursor: tuple[int, int, Iterator[Any]] = (-1, 0, iter(()))

    def __reduce__(self) -> tuple[type[ParquetImages], tuple[Path]]:
        return ParquetImages, (self._path,)

    def rows(self) -> Iterator[Row]:
        """List the rows without reading the images."""
        for number, (group, row, carried) in enumerate(parquet_rows(self._path, CARRIED)):
            if isinstance(carried, Exception):
                yield self._pool.failed(f"row {number}", carried)
            else:
                yield self._pool.asset(f"{group}:{row}", f"row {number}", carried)

    def read(self, locator: str, max_bytes: int) -> bytes:
        """Read one row; a missing image is empty bytes."""
        group, row = map(int, locator.split(":"))
        at_group, at_row, cells = self._cursor
        if group != at_group or row < at_row:
            at_row, cells = 0, self._cells(group)
        try:
            for _ in range(row - at_row):
                next(cells)
            cell = next(cells)
        except (pa.ArrowException, OSError, StopIteration) as error:
            self._cursor = (-1, 0, iter(()))
            raise OSError(f"row group {group} cannot be read: {said_by(error)}") from None
        self._cursor = (group, row + 1, cells)
        if not cell.is_valid:
            return b""
        buffer = cell.as_buffer()
        if buffer.size > max_bytes:
            raise TooLarge(buffer.size)
        return bytes(buffer)

    def _cells(self, group: int) -> Iterator[Any]:
        # Eight images at a time and streamed pages: a row group of a terabyte must not be held.
        file = pq.ParquetFile(self._path, buffer_size=1 << 20, pre_buffer=False)
        for batch in file.iter_batches(8, row_groups=[group], columns=[self._column], use_threads=False):
            column = batch.column(0)
            yield from column.field("bytes") if pa.types.is_struct(column.type) else column

    def identity(self, locator: str) -> str:
        """Identity of the file, and the place in it."""
        return f"{file_identity(self._path)}\0{locator}"


def open_parquet(path: Path) -> Any:
    """Open a Parquet file; SourceError if it is none."""
    try:
        return pq.ParquetFile(path)
    except (pa.ArrowException, OSError) as error:
        raise SourceError(f"{path} is not a Parquet file: {error}") from None


def _image_column(file: Any, path: Path) -> str:
    schema = file.schema_arrow
    if "image" not in schema.names:
        raise SourceError(f"{path} has no column `image`; it has {', '.join(schema.names)}")
    kind = schema.field("image").type
    names = [kind.field(i).name for i in range(kind.num_fields)] if pa.types.is_struct(kind) else []
    cell = kind.field("bytes").type if "bytes" in names else kind
    if not (pa.types.is_binary(cell) or pa.types.is_large_binary(cell)):
        raise SourceError(f"{path}: the column `image` is {kind}; it must be bytes or a struct with `bytes`")
    return "image.bytes" if names else "image"


def parquet_rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, int, Any]]:
    """Each row of a Parquet file as (row group, row in it, columns as a dict or an exception).

    Columns that the file does not have are left out; a cell that is not UTF-8 is a UnicodeDecodeError.
    """
    file = open_parquet(path)
    there = [name for name in columns if name in file.schema_arrow.names]
    for group in range(file.num_row_groups):
        rows, done = file.metadata.row_group(group).num_rows, 0
        try:
            if there:
                for batch in file.iter_batches(1000, row_groups=[group], columns=there):
                    for row in range(batch.num_rows):
                        yield group, done, {name: _cell(batch.column(name)[row]) for name in there}
                        done += 1
            else:
                for done in range(rows):
                    yield group, done, {}
                done = rows
        except (pa.ArrowException, OSError) as error:
            yield from ((group, row, error) for row in range(done, rows))


def _cell(scalar: Any) -> Any:
    try:
        return scalar.as_py()
    except UnicodeDecodeError as error:
        return error
