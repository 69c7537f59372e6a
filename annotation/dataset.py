"""A dataset folder as annotation sees it: its pairs, its threshold, its lock, and files that are whole or absent."""

from __future__ import annotations

import fcntl
import json
import os
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    import pyarrow as pa

FOLDER = "annotations"
"""Everything that annotation writes is in this folder of the dataset."""
_COLUMNS = ("id", "text", "hazard", "p_joint")


class AnnotationError(Exception):
    """Something the user can put right; its text is the whole message."""


class PairSummary(NamedTuple):
    """A pair of the dataset, as far as its place in the queue depends on it."""

    id: str
    text: str
    hazard: str
    """Empty where the dataset names none."""
    p_joint: float
    """The judge's probability, in [0, 1], that image and text together are harmful."""


class Dataset(NamedTuple):
    """A finished dataset."""

    path: Path
    pairs: tuple[PairSummary, ...]
    """Sorted by id."""
    threshold: float
    """`select.min_joint` of the build: from this probability on a pair counts as harmful."""

    @property
    def folder(self) -> Path:
        """Where annotations go; it exists."""
        return annotation_folder(self.path)


def open_dataset(path: Path) -> Dataset:
    """Read manifest and pairs, without pictures.

    Raises:
        AnnotationError: There is no manifest, no shard, a damaged one, or a pair twice.
    """
    threshold = _threshold(path)
    pairs = sorted(
        PairSummary(row["id"], row["text"], row["hazard"] or "", row["p_joint"])
        for batch in batches(path, _COLUMNS)
        for row in batch.to_pylist()
    )
    for one, other in pairwise(pairs):
        if one.id == other.id:
            raise AnnotationError(f"pair {one.id} is twice in {path / 'data'}; build the dataset again")
    return Dataset(path, tuple(pairs), threshold)


def batches(path: Path, columns: tuple[str, ...], rows: int = 100) -> Iterator[pa.RecordBatch]:
    """Read columns of all shards in the order of their names, at most `rows` rows at a time.

    Raises:
        AnnotationError: There is no shard, or one cannot be read.
    """
    import pyarrow as pa
    import pyarrow.parquet as pq

    shards = sorted((path / "data").glob("*.parquet"))
    if not shards:
        raise AnnotationError(f"there are no shards in {path / 'data'}; build the dataset first")
    for shard in shards:
        try:
            with pq.ParquetFile(shard) as file:
                yield from file.iter_batches(rows, columns=list(columns))
        except (pa.ArrowException, OSError) as error:
            raise AnnotationError(f"{shard} cannot be read ({_first_line(error)}); build it again") from error


def annotation_folder(path: Path) -> Path:
    """The folder of the dataset for annotations, made if it is not there."""
    folder = path / FOLDER
    folder.mkdir(exist_ok=True)
    return folder


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Keep other runs of push and pull off the dataset; the lock ends with the process, however it ends.

    Raises:
        AnnotationError: Another run holds it.
    """
    with (annotation_folder(path) / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnnotationError(f"another push or pull is at work on {path}; wait for its end") from None
        yield


@contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary path that takes the place of `path` when the block ends without an error."""
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}.part")
    try:
        yield temporary
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def write_table(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    """Write rows as Parquet; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    with replaced(path) as temporary:
        pq.write_table(pa.Table.from_pylist(rows, schema=schema), temporary)


def write_json(path: Path, value: Mapping[str, Any]) -> None:
    """Write sorted, indented JSON."""
    with replaced(path) as temporary:
        temporary.write_text(json.dumps(value, indent=2, sort_keys=True) + "\n", encoding="utf-8")


def _threshold(path: Path) -> float:
    manifest = path / "manifest.json"
    try:
        content = json.loads(manifest.read_text(encoding="utf-8"))
        return float(content["configuration"]["select"]["min_joint"])
    except FileNotFoundError:
        raise AnnotationError(
            f"{path} has no manifest.json: it is no finished dataset; build it first"
        ) from None
    except (ValueError, KeyError, TypeError) as error:
        raise AnnotationError(
            f"{manifest} is damaged or of another program; build the dataset again"
        ) from error


def _first_line(error: Exception) -> str:
    return str(error).split("\n", 1)[0]
