"""`python -m pipelines.calibrate` on the default judge and labelled pairs that no build and no training has."""

import os
import re
import subprocess
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from generators.tinyworld.labelled import labelled_pairs
from schemas.config import load_config
from tests.forked import Command
from tests.planted import plant_dataset


@pytest.fixture(scope="module")
def pairs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    rows = [*labelled_pairs(1200, 11), {"image": b"torn", "text": "a", "label": 1}, *labelled_pairs(1, 11)]
    path = tmp_path_factory.mktemp("pairs") / "pairs.parquet"
    pq.write_table(pa.Table.from_pylist(rows), path)
    return path


def _calibrate(pairs: Path, folder: Path, *options: str) -> subprocess.CompletedProcess[str]:
    """Run the command; pairs and work directory are given."""
    new, work = folder / "new.toml", folder / "w"
    line = ["tinyworld", f"--pairs={pairs}", f"--out={new}", f"--work-dir={work}", *options]
    running = Command("pipelines.calibrate", line, folder / "log", os.environ)
    return subprocess.CompletedProcess(line, running.wait(240), *running.said)


def test_the_error_falls_on_pairs_that_were_not_fitted_on_and_the_profile_loads(
    pairs: Path, tmp_path: Path
) -> None:
    run = _calibrate(pairs, tmp_path)
    assert run.returncode == 0, run.stderr
    for measure in ("calibration error", "log loss"):
        found = re.search(rf"{measure}\W+([\d.]+)\W+([\d.]+)", run.stdout)
        assert found is not None
        assert float(found[2]) < float(found[1]), run.stdout
    config = load_config(tmp_path / "new.toml")
    assert config.judge.temperature != 1
    assert 0.3 < config.select.min_joint < 1
    assert "# The default: a closed world" in (tmp_path / "new.toml").read_text()
    assert "<svg" in (tmp_path / "new.svg").read_text()
    assert "1 of 1201 pairs left out, the first: row 1200: unsupported_format" in run.stderr


@pytest.mark.parametrize(
    ("column", "values", "message"),
    [("verdict", ["1"], "lacks the columns label"), ("label", ["perhaps"], "row 0: the label 'perhaps'")],
)
def test_labels_that_cannot_be_read_are_named(
    tmp_path: Path, column: str, values: list[str], message: str
) -> None:
    path = tmp_path / "pairs.parquet"
    pq.write_table(pa.table({"image": [b""], "text": ["a"], column: values}), path)
    run = _calibrate(path, tmp_path)
    assert (run.returncode, message in run.stderr) == (2, True), run.stderr


def test_the_labels_of_a_judge_are_refused(tmp_path: Path) -> None:
    run = _calibrate(plant_dataset(tmp_path / "planted"), tmp_path)
    assert (run.returncode, "give pairs that people labelled" in run.stderr) == (2, True)


def test_a_folder_without_pairs_is_named(tmp_path: Path) -> None:
    run = _calibrate(tmp_path, tmp_path)
    assert (run.returncode, "there is no Parquet file" in run.stderr) == (2, True)
