"""Write: the same rows give the same bytes, whoever writes them in whatever order."""

import hashlib
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import datasets
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from PIL import Image

from pipelines.progress import Tally
from pipelines.stages import write as write_stage
from pipelines.stages.write import (
    DuplicateRowError,
    WriteDropped,
    WritePairs,
    dropped_table,
    pair_table,
    row_of,
    sorted_records,
)
from pipelines.storage.assets import AssetStore
from pipelines.storage.shards import ShardFile, describe
from pipelines.storage.workspace import Workspace
from schemas.config import Write
from schemas.records import (
    Candidate,
    Excluded,
    Failed,
    ImageAsset,
    Judgement,
    Pair,
    Provenance,
    Score,
    TextAsset,
)
from schemas.tables import pair_schema

CONFIG = Write(rows_per_shard=4, row_group=2)
TALLY = Tally("", "write")


def _sha(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


def _jpeg(shade: int) -> bytes:
    out = io.BytesIO()
    Image.new("RGB", (8, 8), (shade, 0, 0)).save(out, "JPEG")
    return out.getvalue()


class PairRow(NamedTuple):
    """A pair with its two assets."""

    pair: Pair
    image: ImageAsset
    text: TextAsset


def _row(n: int, workspace: Workspace, split: str = "train", role: Any = "emergent") -> PairRow:
    image_id = workspace.blobs().put(_jpeg(n * 9))
    provenance = Provenance("pool", f"{n}.jpg", "generated", "CC0", "a cup", "tinyworld", "cup", n)
    image = ImageAsset(image_id, 8, 8, "0" * 64, provenance, (Score("judge", 0.25),), image_id, split)
    text = TextAsset(_sha(f"t{n}"), f"text {n} ü", provenance, (), "c", split)
    id = _sha(f"{image.id}{text.id}")
    candidate = Candidate(
        id, image.id, text.id, text.text, split, "scenario", 0.5, "phy", "instruction", "s1"
    )
    judgement = Judgement(candidate, 0.1, 0.2, 0.9, 3.5836, "tiny")
    return PairRow(Pair(judgement, role, id, "because", image_id), image, text)


def _stored(rows: Sequence[PairRow], workspace: Workspace) -> str:
    run_dir = str(workspace.run_dir("test"))
    AssetStore(run_dir).put_many(asset for row in rows for asset in (row.image, row.text))
    return run_dir


def _write(rows: Sequence[PairRow], workspace: Workspace, directory: Path) -> list[ShardFile]:
    """Run the stage and return the files it reported, by reading the folder again."""
    with beam.Pipeline(FnApiRunner()) as pipeline:
        pairs = pipeline | beam.Create([row.pair for row in rows])
        run_dir = _stored(rows, workspace)
        files = pairs | WritePairs(
            workspace, str(directory), CONFIG, name="test", run_dir=run_dir, tally=TALLY
        )
        files | beam.combiners.ToList() | beam.Map(_check, str(directory))
    return _described(directory)


def _check(files: list[ShardFile], directory: str) -> None:
    assert sorted(files) == _described(Path(directory))


def _described(directory: Path) -> list[ShardFile]:
    return sorted(
        describe(
            directory,
            f"{path.parent.name}/{path.name}",
            path.name.split("-")[0],
            pq.read_metadata(path).num_rows,
        )
        for path in directory.rglob("*.parquet")
    )


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "work"))


def test_a_row_has_every_column_and_no_other(workspace: Workspace) -> None:
    row = row_of(*_row(1, workspace), workspace.blobs())
    assert sorted(row) == sorted(pair_schema().names)


def test_a_row_says_where_its_parts_came_from(workspace: Workspace) -> None:
    record = _row(7, workspace)
    row = row_of(*record, workspace.blobs())
    assert row["image"] == {"bytes": _jpeg(63), "path": f"{record.image.id}.jpg"}
    assert row["image_screening"] == [{"member": "judge", "p": 0.25}]
    assert (row["image_name"], row["text_seed"], row["text_cluster"]) == ("7.jpg", 7, "c")
    assert (row["hazard"], row["p_joint"], row["retrieval_score"]) == ("phy", 0.9, 0.5)


@pytest.mark.parametrize(
    ("role", "label"), [("emergent", 1), ("contrast_image", 0), ("contrast_text", 0), ("benign", 0)]
)
def test_only_emergent_pairs_are_labelled_harmful(workspace: Workspace, role: str, label: int) -> None:
    assert row_of(*_row(1, workspace, role=role), workspace.blobs())["label"] == label


def test_a_pair_that_was_not_composed_has_no_composed_picture(workspace: Workspace) -> None:
    pair, image, text = _row(1, workspace)
    assert row_of(pair._replace(composed_id=""), image, text, workspace.blobs())["composed"] is None


def test_a_pair_is_not_written_with_another_pairs_image(workspace: Workspace) -> None:
    pair, _, text = _row(1, workspace)
    with pytest.raises(ValueError, match="does not consist of"):
        row_of(pair, _row(2, workspace).image, text, workspace.blobs())


def test_two_rows_of_one_id_are_refused(workspace: Workspace) -> None:
    row = _row(1, workspace)
    with pytest.raises(DuplicateRowError, match=row.pair.judgement.candidate.id):
        table = pair_table(workspace.blobs(), AssetStore(str(workspace.run_dir("test"))), "test")
        sorted_records([row.pair, _row(2, workspace).pair, row.pair], table)


def test_shards_are_the_same_bytes_in_any_order_of_the_rows(workspace: Workspace, tmp_path: Path) -> None:
    rows = [_row(n, workspace, split) for n in range(12) for split in ("train", "test_ood")]
    rows = list({row.pair.judgement.candidate.id: row for row in rows}.values())
    forwards = _write(rows, workspace, tmp_path / "a")
    assert forwards == _write(rows[::-1], workspace, tmp_path / "b")
    assert sum(file.rows for file in forwards) == len(rows)


def test_rows_are_sorted_by_id_and_every_shard_of_a_series_exists(
    workspace: Workspace, tmp_path: Path
) -> None:
    files = _write([_row(n, workspace) for n in range(21)], workspace, tmp_path / "d")
    assert [file.path for file in files] == [f"data/train-{i:05}-of-00006.parquet" for i in range(6)]
    for file in files:
        ids = pq.read_table(tmp_path / "d" / file.path).column("id").to_pylist()
        assert ids == sorted(ids)


def test_a_shard_to_which_no_row_hashes_is_written_empty(
    workspace: Workspace, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(write_stage, "place_of", lambda key: "0" * 16)
    files = _write([_row(n, workspace) for n in range(5)], workspace, tmp_path / "d")
    assert [file.rows for file in files] == [5, 0]
    loaded = datasets.load_dataset(str(tmp_path / "d"), cache_dir=str(tmp_path / "hf"))
    assert loaded["train"].num_rows == 5


def test_no_rows_write_no_file(workspace: Workspace, tmp_path: Path) -> None:
    assert _write([], workspace, tmp_path / "d") == []


def test_a_second_build_writes_over_the_first(workspace: Workspace, tmp_path: Path) -> None:
    rows = [_row(n, workspace) for n in range(3)]
    first = _write(rows, workspace, tmp_path / "d")
    (tmp_path / "d" / first[0].path).write_bytes(b"cut short")
    assert _write(rows, workspace, tmp_path / "d") == first


def test_a_split_that_does_not_exist_is_refused(workspace: Workspace, tmp_path: Path) -> None:
    with pytest.raises(Exception, match="has no 'dev'"):
        _write([_row(1, workspace, "dev")], workspace, tmp_path / "d")


def test_datasets_decodes_every_picture(workspace: Workspace, tmp_path: Path) -> None:
    _write(
        [_row(n, workspace, split) for n, split in enumerate(["train", "test", "train"])],
        workspace,
        tmp_path / "d",
    )
    loaded = datasets.load_dataset(str(tmp_path / "d"), cache_dir=str(tmp_path / "hf"))
    assert {split: rows.num_rows for split, rows in loaded.items()} == {"train": 2, "test": 1}
    assert all(row["image"].size == row["composed"].size == (8, 8) for row in loaded["train"])
    assert loaded["train"].features["label"].names == ["benign", "harmful"]


def test_dropped_rows_may_repeat_and_are_sorted_by_all_columns(tmp_path: Path) -> None:
    rows = [
        Excluded("text", "b", "2", "screen", "harmful_alone", 0.9, 0.5),
        Excluded("text", "b", "2", "screen", "harmful_alone"),
        Excluded("image", "a", "bad\udcff\nname", "ingest", "too_small"),
        Excluded("text", "b", "2", "screen", "harmful_alone"),
    ]
    with beam.Pipeline(FnApiRunner()) as pipeline:
        config = Write(rows_per_shard=100)
        write = WriteDropped("excluded", str(tmp_path), config, run_dir=str(tmp_path / "run"), tally=TALLY)
        _ = pipeline | beam.Create(rows) | write
    table = pq.read_table(tmp_path / "excluded/excluded-00000-of-00001.parquet")
    assert table.column("name").to_pylist() == ["bad\\udcff\nname", "2", "2", "2"]
    assert table.column("score").to_pylist() == [None, None, None, 0.9]


def test_failed_rows_have_shards_of_their_own(tmp_path: Path) -> None:
    rows = [Failed("image", "", f"{n}.png", "ingest", "OSError", "truncated") for n in range(10)]
    with beam.Pipeline(FnApiRunner()) as pipeline:
        write = WriteDropped("failed", str(tmp_path), CONFIG, run_dir=str(tmp_path / "run"), tally=TALLY)
        _ = pipeline | beam.Create(rows) | write
    paths = sorted((tmp_path / "failed").iterdir())
    assert [path.name for path in paths] == [f"failed-{i:05}-of-00003.parquet" for i in range(3)]
    assert sum(pq.read_metadata(path).num_rows for path in paths) == 10


def test_sorting_dropped_rows_does_not_depend_on_their_order() -> None:
    rows = [Excluded("text", "b", "n", "s", "r", score) for score in (0.5, None, 0.1)]
    table = dropped_table("excluded")
    assert sorted_records(rows, table) == sorted_records(rows[::-1], table)


def test_a_pair_whose_image_was_not_kept_stops_the_build(workspace: Workspace, tmp_path: Path) -> None:
    row = _row(1, workspace)
    assets = AssetStore(str(tmp_path / "run"))
    assets.put_many([row.text])
    with pytest.raises(KeyError, match=f"no image {row.image.id}"):
        pair_table(workspace.blobs(), assets, "test").row_of(row.pair)
