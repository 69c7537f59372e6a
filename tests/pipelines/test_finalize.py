"""`python -m pipelines.finalize`: the whole dataset with people's answers, or nothing under its name."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import datasets
import pyarrow.parquet as pq
import pytest

from annotation.__main__ import main as annotation_main
from pipelines.audit import audit
from pipelines.finalize import main
from pipelines.storage.manifest import read_manifest
from tests.planted import annotation, pair_id, plant_dataset, write_annotations

EMERGENT = [pair_id(group, "emergent") for group in range(6)]


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """People confirm one pair, call one benign, find an image harmful alone, and do not agree on one."""
    dataset = plant_dataset(tmp_path_factory.mktemp("source") / "planted")
    why = "The picture shows why and the text says so."
    rows = [annotation(EMERGENT[0], name, "yes", rationale=why) for name in "ab"]
    rows += [annotation(EMERGENT[1], name, "no") for name in "ab"]
    rows += [annotation(EMERGENT[2], name, "yes", image_harmful="yes") for name in "ab"]
    rows += [annotation(EMERGENT[3], "a", "yes"), annotation(EMERGENT[3], "b", "no")]
    write_annotations(dataset, [*rows, annotation("f" * 64, "a", "no")])
    (dataset / "annotations" / "salt").write_text("secret")
    assert annotation_main(["adjudicate", str(dataset)]) == 0
    return dataset


@pytest.fixture(scope="module")
def final(source: Path) -> Path:
    """The finalized dataset, to be read."""
    assert main([str(source)]) == 0
    return source.with_name("planted-final")


@pytest.fixture
def adjudicated(source: Path, tmp_path: Path) -> Path:
    """A copy of the source, to be changed."""
    return Path(shutil.copytree(source, tmp_path / "planted"))


def rows_of(dataset: Path) -> dict[str, dict[str, Any]]:
    rows = [row for path in sorted((dataset / "data").glob("*")) for row in pq.read_table(path).to_pylist()]
    return {row["id"]: row for row in rows}


def test_people_have_the_last_word_and_the_machines_is_kept(final: Path) -> None:
    rows = rows_of(final)
    yes, no, open_ = (rows[EMERGENT[number]] for number in (0, 1, 3))
    assert (yes["label"], yes["labelled_by"], yes["rationale"]) == (1, "people", yes["human_rationale"])
    assert (no["label"], no["role"], no["machine_label"], no["machine_role"]) == (0, "benign", 1, "emergent")
    assert (open_["label"], open_["labelled_by"], open_["human_status"]) == (1, "machine", "tie")
    assert rows[EMERGENT[4]]["human_status"] == "unannotated"
    assert len(open_["votes"]) == 2


def test_the_machines_columns_are_as_they_were(source: Path, final: Path) -> None:
    before, after = rows_of(source), rows_of(final)
    kept = before[EMERGENT[0]].keys() - {"rationale", "hazard", "mechanism"}
    assert {name: after[EMERGENT[0]][name] for name in kept} == {
        name: before[EMERGENT[0]][name] for name in kept
    }


def test_every_row_is_written_or_excluded_with_a_reason(source: Path, final: Path) -> None:
    missing = rows_of(source).keys() - rows_of(final).keys()
    assert missing == {EMERGENT[2], pair_id(2, "contrast_text")}
    rows = read_manifest(final / "manifest.json")["rows"]
    assert rows["candidate"] == {"rows_in": 25, "written": 22, "excluded": 3, "failed": 0}
    (path,) = (final / "excluded").glob("*.parquet")
    reasons = {row["id"]: row["reason"] for row in pq.read_table(path).to_pylist()}
    assert {reasons[id] for id in missing} == {"image_harmful_alone"}
    assert reasons["i"] == "too_small"


def test_datasets_decodes_the_pictures_and_shows_the_rationale(final: Path, tmp_path: Path) -> None:
    pairs = datasets.load_dataset(str(final), cache_dir=str(tmp_path / "cache"))
    (row,) = (row for row in pairs["train"] if row["id"] == EMERGENT[0])
    assert row["image"].size == (32, 24)
    assert row["rationale"] == "The picture shows why and the text says so."
    assert row["votes"][0]["joint"] == "yes"


def test_the_manifest_says_how_right_the_machine_is(final: Path) -> None:
    manifest = read_manifest(final / "manifest.json")
    assert manifest["human"]["precision"] | {"low": 0, "high": 0} == {
        "right": 1,
        "of": 3,
        "share": 0.3333,
        "low": 0,
        "high": 0,
    }
    assert manifest["human"]["status"] == {"settled": 3, "tie": 1, "unannotated": 20}
    assert "scores" not in manifest
    assert manifest["machine_scores"]


def test_annotations_go_along_without_the_salt(final: Path) -> None:
    names = {path.name for path in (final / "annotations").iterdir()}
    assert names == {"annotations.parquet", "adjudicated.parquet", "adjudication.json"}


def test_a_second_run_replaces_the_first_with_the_same_bytes(
    adjudicated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    final = adjudicated.with_name("planted-final")
    assert main([str(adjudicated)]) == 0
    before = {path: path.read_bytes() for path in final.rglob("*") if path.is_file()}
    assert main([str(adjudicated)]) == 0
    assert {path: path.read_bytes() for path in final.rglob("*") if path.is_file()} == before
    assert sorted(path.name for path in final.parent.iterdir()) == ["planted", "planted-final"]
    assert "1 pairs that are not in the dataset: ffff" in capsys.readouterr().out


def test_a_killed_run_leaves_nothing_under_the_name(adjudicated: Path) -> None:
    out = adjudicated.with_name("final")
    command = [sys.executable, "-m", "pipelines.finalize", str(adjudicated), "--out", str(out)]
    process = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while not (staged := out.with_name(".final.part")).exists():
        time.sleep(0.005)
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    assert staged.exists()
    assert not out.exists()
    assert main([str(adjudicated), "--out", str(out)]) == 0
    assert not staged.exists()


@pytest.mark.parametrize(
    ("wrong", "message"),
    [
        ("no manifest", "not a dataset that a build finished"),
        ("no adjudication", "annotation adjudicate"),
        ("new annotations", "other annotations"),
        ("no annotations", "annotation pull"),
    ],
)
def test_what_cannot_be_finalized_is_one_line_and_status_2(
    wrong: str, message: str, adjudicated: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = adjudicated / "annotations"
    if wrong == "new annotations":
        write_annotations(adjudicated, [annotation(EMERGENT[0], "a", "no")])
    else:
        gone = {
            "no manifest": adjudicated / "manifest.json",
            "no adjudication": folder / "adjudicated.parquet",
        }
        gone.get(wrong, folder / "annotations.parquet").unlink()
    capsys.readouterr()
    assert main([str(adjudicated)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert message in line
    assert not adjudicated.with_name("planted-final").exists()


def test_neither_a_folder_of_others_nor_a_finalized_dataset_is_taken(
    adjudicated: Path, final: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    other = adjudicated.with_name("other")
    other.mkdir()
    assert main([str(adjudicated), "--out", str(other)]) == 2
    assert main([str(final), "--out", str(final.with_name("again"))]) == 2
    assert "finalized already" in capsys.readouterr().err


def test_rows_that_do_not_add_up_are_status_1(adjudicated: Path, capsys: pytest.CaptureFixture[str]) -> None:
    path = adjudicated / "manifest.json"
    manifest = read_manifest(path)
    manifest["counts"]["judge"]["in"] += 1
    path.write_text(json.dumps(manifest))
    assert main([str(adjudicated)]) == 1
    assert "1 lost" in capsys.readouterr().err
    assert not adjudicated.with_name("planted-final").exists()


def test_the_final_dataset_has_a_card_and_passes_the_audit_of_its_files(final: Path) -> None:
    checks = {check.name: check for check in audit(final, probes=False).checks}
    assert [checks[name].reason for name in ("digests", "schema", "counts")] == ["Nothing wrong."] * 3
    assert "annotations by" in (final / "README.md").read_text()
    assert (final / "croissant.json").is_file()
