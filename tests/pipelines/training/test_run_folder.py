import json
from pathlib import Path

import pytest

from pipelines.storage.manifest import read_manifest
from pipelines.training.curves import draw_curves
from pipelines.training.run_folder import RunFolder, shards_digest
from tests.planted import plant_dataset


def test_only_finite_numbers_are_logged(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.log(1, {"loss": 2.0, "entropy": float("nan"), "name": "x", "on": True})
    assert run.logged() == [{"step": 1, "loss": 2.0}]


def test_a_line_that_a_kill_cut_is_left_out(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    run.log(1, {"loss": 2.0})
    with run.metrics.open("a") as lines:
        lines.write('{"step": 2, "lo')
    assert run.logged() == [{"step": 1, "loss": 2.0}]


def test_a_resumed_run_forgets_the_steps_after_its_checkpoint(tmp_path: Path) -> None:
    run = RunFolder(tmp_path)
    for step in (1, 2, 3):
        run.log(step, {"loss": step})
    run.forget_after(2)
    assert [line["step"] for line in run.logged()] == [1, 2]


def test_the_facts_of_a_run_are_whole(tmp_path: Path) -> None:
    RunFolder(tmp_path).write_run({"kind": "sft"})
    assert json.loads((tmp_path / "run.json").read_text()) == {"kind": "sft"}
    assert [path.name for path in tmp_path.iterdir()] == ["run.json"]


def test_an_untouched_datasets_digest_is_that_of_its_manifest(tmp_path: Path) -> None:
    dataset = plant_dataset(tmp_path / "planted")
    assert shards_digest(dataset) == read_manifest(dataset / "manifest.json")["dataset_digest"]


def test_a_datasets_digest_changes_with_a_shard(small_dataset: Path) -> None:
    before = shards_digest(small_dataset)
    assert before == shards_digest(small_dataset)
    shard = next((small_dataset / "data").glob("*.parquet"))
    shard.write_bytes(shard.read_bytes() + b"x")
    assert shards_digest(small_dataset) != before


def test_a_folder_without_shards_has_no_digest(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="holds no dataset"):
        shards_digest(tmp_path)


def test_curves_show_what_was_logged_more_than_once(tmp_path: Path) -> None:
    lines = [{"step": step, "loss": 1 / step, "rewards/verdict/mean": step / 9} for step in range(1, 9)]
    assert draw_curves(lines, tmp_path / "curves.png", "a run")
    assert (tmp_path / "curves.png").stat().st_size > 5_000
    assert not draw_curves(lines[:1], tmp_path / "none.png", "a run")
    assert not (tmp_path / "none.png").exists()
