"""Write: pairs, excluded and failed rows in, Parquet shards and a `ShardFile` for each out; drops nothing.

Rows are put on disk in the order of a hash, of which each shard holds a range; one DoFn sorts and writes a
shard, reading image bytes from the blob store a row group at a time. So the bytes of a shard depend neither on
the order of the elements nor on the number of workers.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from itertools import pairwise
from pathlib import Path
from typing import Any, Literal, NamedTuple

import apache_beam as beam
import pyarrow as pa

from pipelines.progress import Tally
from pipelines.stages.spill import Spill
from pipelines.storage.assets import AssetStore
from pipelines.storage.blobs import BlobStore
from pipelines.storage.packing import pack, unpack
from pipelines.storage.shards import (
    KINDS,
    Row,
    ShardFile,
    describe,
    place_of,
    places_of,
    shard_count,
    shard_path,
    write_shard,
)
from pipelines.storage.spill import Group, SpillFile, Value
from pipelines.storage.workspace import Workspace
from schemas.canary import with_canary
from schemas.config import Write
from schemas.records import Excluded, Failed, ImageAsset, Pair, TextAsset
from schemas.tables import excluded_schema, failed_schema, pair_schema

_CANDIDATE_COLUMNS = ("hazard", "mechanism", "scenario", "method")
_JUDGED_COLUMNS = ("p_image", "p_text", "p_joint", "emergence", "judge")


class DuplicateRowError(ValueError):
    """Two rows of a table have one id."""


class Table(NamedTuple):
    """What distinguishes one written table from another; its functions are pure and travel to the workers."""

    folder: str
    schema: pa.Schema
    kind_of: Callable[[Any], str]
    """The split of a record, or the table's name."""
    key_of: Callable[[Any], str]
    """What a record's shard is hashed from."""
    order_of: Callable[[Any], Any]
    """What the records of a shard are sorted by."""
    row_of: Callable[[Any], Row]
    """The columns of a record; called when its row group is written."""
    unique: bool
    """Whether equal keys are an error."""


def row_of(pair: Pair, image: ImageAsset, text: TextAsset, blobs: BlobStore) -> dict[str, Any]:
    """The columns of `pair_schema` for one pair, with its pictures' bytes.

    Raises:
        ValueError: An asset is not the pair's.
        KeyError: A picture is not in the blob store.
    """
    judgement, candidate = pair.judgement, pair.judgement.candidate
    if (candidate.image_id, candidate.text_id) != (image.id, text.id):
        raise ValueError(f"pair {candidate.id} does not consist of image {image.id} and text {text.id}")
    return {
        "id": candidate.id,
        "image": _picture(image.id, blobs),
        "text": text.text,
        "composed": _picture(pair.composed_id, blobs) if pair.composed_id else None,
        "label": int(pair.role == "emergent"),
        "role": pair.role,
        "contrast_group": pair.contrast_group,
        "retrieval_score": candidate.score,
        "rationale": pair.rationale,
        **{name: getattr(candidate, name) for name in _CANDIDATE_COLUMNS},
        **{name: getattr(judgement, name) for name in _JUDGED_COLUMNS},
        **_asset_columns("image", image),
        "image_faces_blurred": image.faces_blurred,
        **_asset_columns("text", text),
    }


def pair_table(blobs: BlobStore, assets: AssetStore, name: str) -> Table:
    """`data/` of the dataset of that name: a shard series a split, sorted by the pair's id, which is unique."""
    row = partial(_pair_row, blobs, assets)
    return Table("data", with_canary(pair_schema(), name), _split_of, _id_of, _id_of, row, unique=True)


def dropped_table(kind: Literal["excluded", "failed"]) -> Table:
    """`excluded/` or `failed/`: sorted by all columns; equal rows may come more than once."""
    schema = {"excluded": excluded_schema, "failed": failed_schema}[kind]()
    return Table(
        kind, schema, partial(_always, kind), _content_of, _columns_in_order, _dropped_row, unique=False
    )


class Shard(NamedTuple):
    """One file to write: its number in a series of how many, and the records of the whole series."""

    number: int
    shards: int
    series: Group


class WriteShards(beam.PTransform[Any, Any]):
    """Records of a table -> a `ShardFile` for each file written; no records, no files.

    Args:
        table: Which table, and how its records become rows.
        directory: The dataset's directory.
        config: Rows a shard and rows a row group.
        run_dir: The run's folder, where the records are sorted into shards.
        tally: Counts `in` and `kept` as rows are written.
    """

    def __init__(self, table: Table, directory: str, config: Write, *, run_dir: str, tally: Tally) -> None:
        super().__init__()
        self._table = table
        self._rows_per_shard = config.rows_per_shard
        self._records = SpillFile(Path(run_dir) / f"write-{table.folder}.sqlite")
        self._write = _WriteShard(table, self._records, directory, config.row_group, tally)
        self._tally = tally

    def expand(self, records: Any) -> Any:
        """Put the records on disk, which counts them, and write shard by shard."""
        return (
            records
            | "Spill" >> Spill(self._records, partial(_value, self._table))
            | "Shards" >> beam.FlatMap(_shards, self._rows_per_shard, self._tally)
            | "Spread" >> beam.Reshuffle()
            | "Write" >> beam.ParDo(self._write)
        )


class WritePairs(beam.PTransform[Any, Any]):
    """`Pair`s -> a `ShardFile` for each shard of `data/`.

    Args:
        workspace: Where the pictures are.
        directory: The dataset's directory.
        config: Rows a shard and rows a row group.
        name: The dataset's name, which decides its canary.
        run_dir: The run's folder, where the `AssetStore` has what is known of each part.
        tally: Counts `in` and `kept`.
    """

    def __init__(
        self, workspace: Workspace, directory: str, config: Write, *, name: str, run_dir: str, tally: Tally
    ) -> None:
        super().__init__()
        table = pair_table(workspace.blobs(), AssetStore(run_dir), name)
        self._shards = WriteShards(table, directory, config, run_dir=run_dir, tally=tally)

    def expand(self, rows: Any) -> Any:
        """Write the pairs' shards."""
        return rows | self._shards


class WriteDropped(beam.PTransform[Any, Any]):
    """`Excluded` or `Failed` rows -> a `ShardFile` for each shard of `excluded/` or `failed/`.

    Args:
        kind: Which of the two.
        directory: The dataset's directory.
        config: Rows a shard and rows a row group.
        run_dir: The run's folder.
        tally: Counts `in` and `kept`.
    """

    def __init__(
        self,
        kind: Literal["excluded", "failed"],
        directory: str,
        config: Write,
        *,
        run_dir: str,
        tally: Tally,
    ) -> None:
        super().__init__()
        self._shards = WriteShards(dropped_table(kind), directory, config, run_dir=run_dir, tally=tally)

    def expand(self, rows: Any) -> Any:
        """Write the dropped rows' shards."""
        return rows | self._shards


class _WriteShard(beam.DoFn):
    """Sorts the records of one shard and writes its file."""

    def __init__(
        self, table: Table, records: SpillFile, directory: str, row_group: int, tally: Tally
    ) -> None:
        self._table = table
        self._records = records
        self._directory = directory
        self._row_group = row_group
        self._tally = tally

    def process(self, shard: Shard) -> Iterator[ShardFile]:
        number, shards, series = shard
        path = shard_path(self._table.folder, series.key, number, shards)
        members = map(unpack, self._records.read(series, *places_of(number, shards)))
        records = sorted_records(members, self._table)
        directory = Path(self._directory)
        # From here on an earlier dataset in the folder is no longer what its manifest says.
        (directory / "manifest.json").unlink(missing_ok=True)
        rows = write_shard(directory / path, self._table.schema, self._rows(records), self._row_group)
        yield describe(directory, path, series.key, rows)

    def finish_bundle(self) -> None:
        self._tally.flush()

    def _rows(self, records: list[Any]) -> Iterator[Row]:
        for record in records:
            row = self._table.row_of(record)
            self._tally.count("in")
            self._tally.count("kept")
            yield row


def sorted_records(records: Iterable[Any], table: Table) -> list[Any]:
    """The records of a shard in the order they are written.

    Raises:
        DuplicateRowError: Two have one key, in a table where keys are unique.
    """
    ordered = sorted(records, key=table.order_of)
    if table.unique:
        for one, next_one in pairwise(ordered):
            if table.key_of(one) == table.key_of(next_one):
                raise DuplicateRowError(f"two rows of {table.folder}/ have the id {table.key_of(one)}")
    return ordered


def _picture(id: str, blobs: BlobStore) -> dict[str, Any]:
    return {"bytes": blobs.get(id), "path": f"{id}.jpg"}


def _asset_columns(modality: str, asset: ImageAsset | TextAsset) -> dict[str, Any]:
    columns = {
        "id": asset.id,
        "cluster": asset.cluster,
        "screening": [score._asdict() for score in asset.screening],
        **asset.provenance._asdict(),
    }
    return {f"{modality}_{name}": value for name, value in columns.items()}


def _split_of(pair: Pair) -> str:
    return pair.judgement.candidate.split


def _id_of(pair: Pair) -> str:
    return pair.judgement.candidate.id


def _pair_row(blobs: BlobStore, assets: AssetStore, pair: Pair) -> dict[str, Any]:
    candidate = pair.judgement.candidate
    return row_of(pair, *assets.get(candidate.image_id, candidate.text_id), blobs)


def _always(kind: str, _: Excluded | Failed) -> str:
    return kind


def _content_of(row: Excluded | Failed) -> str:
    return json.dumps(row)


def _columns_in_order(row: Excluded | Failed) -> tuple[tuple[bool, Any], ...]:
    return tuple((value is not None, value) for value in row)


def _dropped_row(row: Excluded | Failed) -> dict[str, Any]:
    return row._asdict()


def _value(table: Table, record: Any) -> Value:
    kind, key = table.kind_of(record), table.key_of(record)
    if kind not in KINDS[table.folder]:
        expected = ", ".join(KINDS[table.folder])
        raise ValueError(f"{table.folder}/ has no {kind!r} (only {expected}): {key}")
    return Value(kind, place_of(key), pack(record))


def _shards(series: Group, rows_per_shard: int, tally: Tally) -> Iterator[Shard]:
    tally.expect(series.size)
    shards = shard_count(series.size, rows_per_shard)
    for number in range(shards):
        yield Shard(number, shards, series)
