"""The rows of a dataset as columns, without pictures; and the pictures, one row group at a time."""

from __future__ import annotations

import json
from collections.abc import Iterator
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.config import Dedupe, Embed, Ingest
from schemas.records import SPLITS
from schemas.tables import MEDIA_COLUMNS, pair_schema

NEEDED = frozenset(pair_schema().names)
Columns = dict[str, list[Any]]


class UnreadableError(ValueError):
    """A folder that no audit can be made of."""


class Media(NamedTuple):
    """The encoded pictures of one row."""

    row: int
    image: bytes
    composed: bytes


class Rows:
    """All rows of a dataset, split by split in the order of their shards.

    Args:
        path: The dataset's folder.

    Raises:
        UnreadableError: No manifest, no shards, or shards that are no Parquet files or lack columns.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.manifest = _manifest(path)
        found = sorted((path / "data").glob("*.parquet"))
        self.files = [file for split in SPLITS for file in found if _split(file) == split]
        if not self.files:
            raise UnreadableError(f"there are no shards in {path / 'data'}; give the folder of a build")
        self.schemas = {file.name: _schema(file) for file in self.files}

    @cached_property
    def columns(self) -> Columns:
        """Column to its values in the order of the rows, with `split`; the pictures' are left out."""
        wanted = [name for name in pair_schema().names if name not in MEDIA_COLUMNS]
        tables = [pq.read_table(file, columns=wanted) for file in self.files]
        columns: Columns = {name: [v for t in tables for v in t[name].to_pylist()] for name in wanted}
        columns["split"] = [_split(f) for f, t in zip(self.files, tables, strict=True) for _ in range(len(t))]
        return columns

    def __len__(self) -> int:
        return len(self.columns["id"])

    def array(self, name: str) -> npt.NDArray[Any]:
        """A column as an array; None becomes the empty string."""
        return np.array(["" if value is None else value for value in self.columns[name]])

    def media(self) -> Iterator[Media]:
        """The pictures of every row, in the rows' order; no more than a row group is in memory."""
        row = 0
        for file in self.files:
            with pq.ParquetFile(file) as parquet:
                for group in range(parquet.num_row_groups):
                    table = parquet.read_row_group(group, columns=list(MEDIA_COLUMNS))
                    for one in table.to_pylist():
                        yield Media(row, *((one[name] or {}).get("bytes") or b"" for name in MEDIA_COLUMNS))
                        row += 1

    @cached_property
    def dedupe(self) -> Dedupe:
        """When two assets were taken for near copies."""
        return Dedupe.model_validate(self._section("dedupe"))

    @cached_property
    def caps(self) -> Ingest:
        """The caps under which images were decoded."""
        return Ingest.model_validate(self._section("ingest"))

    @cached_property
    def embed(self) -> Embed:
        """The dual encoder of the build."""
        return Embed.model_validate(self._section("embed"))

    def _section(self, name: str) -> dict[str, Any]:
        section: dict[str, Any] = self.manifest.get("configuration", {}).get(name, {})
        return section


def _manifest(path: Path) -> dict[str, Any]:
    file = path / "manifest.json"
    try:
        manifest = json.loads(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise UnreadableError(f"{file} is missing: {path} is not a dataset that a build finished") from None
    except (ValueError, OSError) as error:
        raise UnreadableError(f"{file} cannot be read: {error}") from None
    if not isinstance(manifest, dict):
        raise UnreadableError(f"{file} holds no manifest")
    return manifest


def _split(file: Path) -> str:
    return file.name.split("-")[0]


def _schema(file: Path) -> pa.Schema:
    try:
        schema = pq.read_schema(file)
    except (pa.ArrowException, OSError) as error:
        raise UnreadableError(f"{file} is no Parquet file: {error}") from None
    if missing := sorted(NEEDED - set(schema.names)):
        raise UnreadableError(f"{file} lacks the columns {', '.join(missing)}")
    return schema
