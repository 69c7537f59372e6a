import io
import json
from pathlib import Path
from typing import Any

import datasets
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image

from schemas.records import Excluded, Failed
from schemas.tables import (
    LABELS,
    MEDIA_COLUMNS,
    excluded_schema,
    failed_schema,
    finalized_schema,
    pair_schema,
)

SCHEMA = pair_schema()


@pytest.fixture
def row() -> dict[str, Any]:
    """One row with every column filled."""
    out = io.BytesIO()
    Image.new("RGB", (40, 30), (200, 30, 30)).save(out, "PNG")
    made: dict[str, Any] = {}
    for field in SCHEMA:
        value = {pa.int64(): 1, pa.float64(): 0.25}.get(field.type, f"a {field.name}")
        made[field.name] = [{"member": "judge", "p": 0.125}] if pa.types.is_list(field.type) else value
    picture = {"bytes": out.getvalue(), "path": "x.png"}
    return made | {name: picture for name in MEDIA_COLUMNS} | {"text": "Look how it floats. \N{DUCK}"}


@pytest.mark.parametrize("schema", [SCHEMA, finalized_schema()])
def test_the_metadata_describe_the_very_columns(schema: pa.Schema) -> None:
    features = datasets.Features.from_arrow_schema(schema)
    assert features.arrow_schema.equals(schema)
    assert json.loads(features.arrow_schema.metadata[b"huggingface"]) == json.loads(
        schema.metadata[b"huggingface"]
    )


def test_finalizing_keeps_every_column_and_the_machines_own() -> None:
    names = finalized_schema().names
    assert names[: len(SCHEMA.names)] == SCHEMA.names
    assert {"machine_label", "human_label", "rationales", "votes"} <= set(names)


def test_labels_and_pictures_have_features_of_their_own() -> None:
    features = datasets.Features.from_arrow_schema(SCHEMA)
    assert features["label"] == datasets.ClassLabel(names=list(LABELS))
    assert all(isinstance(features[name], datasets.Image) for name in MEDIA_COLUMNS)


def test_a_written_row_is_decoded_by_datasets(row: dict[str, Any], tmp_path: Path) -> None:
    pq.write_table(pa.Table.from_pylist([row], SCHEMA), tmp_path / "train-00000-of-00001.parquet")
    (read,) = datasets.load_dataset(str(tmp_path), split="train", cache_dir=str(tmp_path / "cache"))
    for name in MEDIA_COLUMNS:
        assert read[name].size == (40, 30)
        assert read[name].getpixel((3, 3)) == (200, 30, 30)
    media = set(MEDIA_COLUMNS)
    assert {k: v for k, v in read.items() if k not in media} == {
        k: v for k, v in row.items() if k not in media
    }


def test_media_columns_are_encoded_pictures() -> None:
    for name in MEDIA_COLUMNS:
        assert SCHEMA.field(name).type == pa.struct([("bytes", pa.binary()), ("path", pa.string())])


def test_no_column_is_named_twice() -> None:
    assert len(set(SCHEMA.names)) == len(SCHEMA.names)


@pytest.mark.parametrize(("schema", "record"), [(excluded_schema(), Excluded), (failed_schema(), Failed)])
def test_dropped_rows_have_the_fields_of_their_record(schema: pa.Schema, record: Any) -> None:
    assert tuple(schema.names) == record._fields
