"""Shards: written as `datasets` writes them, whole or not at all, and never in anybody's way."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets.arrow_writer import get_parquet_column_options
from hypothesis import given
from hypothesis import strategies as st

from pipelines.storage import shards
from pipelines.storage.shards import (
    describe,
    place_of,
    places_of,
    remove_stale,
    shard_count,
    shard_path,
    write_shard,
)
from schemas.tables import excluded_schema, failed_schema, pair_schema

SCHEMA = failed_schema()


def _failed(n: int) -> dict[str, Any]:
    return {name: f"{name}-{n:03}" for name in SCHEMA.names}


def test_as_many_shards_as_the_rows_need() -> None:
    assert [shard_count(rows, 10) for rows in (0, 1, 10, 11)] == [0, 1, 1, 2]


@given(st.text(), st.integers(1, 50))
def test_every_key_is_in_one_shard(key: str, n: int) -> None:
    place = place_of(key)
    ranges = [places_of(number, n) for number in range(n)]
    assert sum(low <= place and (high is None or place < high) for low, high in ranges) == 1


def test_a_place_is_the_first_64_bits_of_the_sha256() -> None:
    assert place_of("a") == "ca978112ca1bbdca"


def test_the_shards_of_a_series_follow_one_another_and_are_alike_in_size() -> None:
    assert [places_of(number, 4) for number in range(4)] == [
        ("0000000000000000", "4000000000000000"),
        ("4000000000000000", "8000000000000000"),
        ("8000000000000000", "c000000000000000"),
        ("c000000000000000", None),
    ]


def test_names_are_those_of_the_hub() -> None:
    assert shard_path("data", "train", 3, 12) == "data/train-00003-of-00012.parquet"


def test_rows_come_back_in_row_groups_with_the_schemas_metadata(tmp_path: Path) -> None:
    path = tmp_path / "data" / "x.parquet"
    rows = [{name: None for name in pair_schema().names} | {"id": str(n)} for n in range(25)]
    assert write_shard(path, pair_schema(), rows, 10) == 25
    file = pq.ParquetFile(path)
    assert [file.metadata.row_group(i).num_rows for i in range(file.num_row_groups)] == [10, 10, 5]
    assert file.schema_arrow.metadata[b"huggingface"] == pair_schema().metadata[b"huggingface"]
    assert file.read().column("id").to_pylist() == [str(n) for n in range(25)]


def test_columns_are_stored_as_datasets_stores_them() -> None:
    schema = pair_schema()
    expected = get_parquet_column_options(datasets.Features.from_arrow_schema(schema), schema)
    options = shards._options(schema)
    assert options["compression"] == expected["compression"]
    assert options["use_dictionary"] == expected["use_dictionary"]
    assert options["column_encoding"] == expected["column_encoding"]
    assert options["use_content_defined_chunking"] == datasets.config.DEFAULT_CDC_OPTIONS


def test_pictures_are_plain_and_uncompressed_and_pages_are_indexed(tmp_path: Path) -> None:
    row = {name: None for name in pair_schema().names} | {"id": "a", "text": "t"}
    row["image"] = {"bytes": b"\xff" * 5000, "path": "a.jpg"}
    write_shard(tmp_path / "x.parquet", pair_schema(), [row], 10)
    group = pq.ParquetFile(tmp_path / "x.parquet").metadata.row_group(0)
    columns = {(column := group.column(i)).path_in_schema: column for i in range(group.num_columns)}
    assert columns["image.bytes"].compression == "UNCOMPRESSED"
    assert set(columns["image.bytes"].encodings) == {"PLAIN", "RLE"}
    assert columns["text"].compression == "SNAPPY"
    assert columns["text"].has_dictionary_page
    assert columns["text"].has_column_index
    assert all(column.has_offset_index for column in columns.values())


def test_a_shard_without_rows_can_be_read(tmp_path: Path) -> None:
    assert write_shard(tmp_path / "x.parquet", SCHEMA, [], 10) == 0
    assert pq.read_table(tmp_path / "x.parquet").schema.equals(SCHEMA)


def test_equal_rows_give_equal_bytes(tmp_path: Path) -> None:
    for name in "ab":
        write_shard(
            tmp_path / name, excluded_schema(), ({"id": str(n), "score": n / 7} for n in range(300)), 100
        )
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_a_lone_surrogate_is_written_as_an_escape(tmp_path: Path) -> None:
    write_shard(tmp_path / "x.parquet", SCHEMA, [_failed(0) | {"name": "a\udcff\x00\n"}], 10)
    assert pq.read_table(tmp_path / "x.parquet").column("name").to_pylist() == ["a\\udcff\x00\n"]


def test_a_write_that_fails_leaves_the_old_file_and_no_temporary_one(tmp_path: Path) -> None:
    def breaks() -> Iterator[dict[str, Any]]:
        yield from (_failed(n) for n in range(15))
        raise OSError("the disk is gone")

    path = tmp_path / "x.parquet"
    write_shard(path, SCHEMA, [_failed(0)], 10)
    before = path.read_bytes()
    with pytest.raises(OSError, match="the disk is gone"):
        write_shard(path, SCHEMA, breaks(), 10)
    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]


def test_no_more_rows_are_read_ahead_than_a_row_group(tmp_path: Path) -> None:
    alive: list[int] = []

    class Bytes(bytes):
        def __del__(self) -> None:
            alive.remove(1)

    def rows() -> Iterator[dict[str, Any]]:
        for _ in range(50):
            alive.append(1)
            assert len(alive) <= 11
            yield {"x": Bytes(b"picture")}

    write_shard(tmp_path / "x.parquet", pa.schema([("x", pa.binary())]), rows(), 10)


def test_a_file_is_described_by_its_size_and_digest(tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "x").write_bytes(b"a")
    file = describe(tmp_path, "data/x", "train", 3)
    assert file == (
        "data/x",
        "train",
        3,
        1,
        "ca978112ca1bbdcafac231b39a23dc4da786eff8147c4e72b9807785afee48bb",
    )


def test_stale_files_go_and_everything_else_stays(tmp_path: Path) -> None:
    part = f".train-00000-of-00002.parquet-{'0' * 32}.part"
    stale = ["data/train-00001-of-00002.parquet", f"data/{part}", "excluded/excluded-00000-of-00001.parquet"]
    ours = ["data/train-00000-of-00001.parquet"]
    others = [
        "data/mine.parquet",
        "data/train-0-of-1.parquet",
        "data/excluded-00000-of-00001.parquet",
        "data/.x.part",
        "notes/train-00000-of-00002.parquet",
        "data/train-00000-of-00002.parquet/inside",
    ]
    for path in [*stale, *ours, *others]:
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).write_bytes(b"")
    (tmp_path / "data/test-00000-of-00001.parquet").symlink_to(tmp_path / "data/mine.parquet")
    assert remove_stale(tmp_path, ours) == sorted(stale)
    left = {str(path.relative_to(tmp_path)) for path in tmp_path.rglob("*") if not path.is_dir()}
    assert left == {*ours, *others, "data/test-00000-of-00001.parquet"}


def test_a_dataset_that_was_never_written_has_nothing_stale(tmp_path: Path) -> None:
    assert remove_stale(tmp_path / "new", []) == []
