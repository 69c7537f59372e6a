"""The command line of `python -m pipelines.build`: what is refused, by name and before anything is written."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.build import main
from tests.builds import build
from tests.forked import ROOT

pytestmark = pytest.mark.timeout(300)
CLOSED = """
[[scenario]]
hazard = "cse"
mechanism = "disclosure"
image_queries = ["a picture of a door"]
text_queries = ["someone greeting"]
why = "It must never be asked for."
"""
REFUSED = {
    "unknown key": (["--set", "screen.treshold=1"], "unknown key `screen.treshold`"),
    "unknown section": (["--set", "sreen.judge_threshold=1"], "unknown key `sreen`"),
    "no key": (["--set", "screen"], "stage.key=value"),
    "impossible value": (["--set", "select.min_joint=1.5"], "`select.min_joint`"),
    "value of another type": (["--set", "images.count=many"], "`images.count`"),
    "unknown profile": (["--profile", "nowhere"], "nowhere"),
    "unknown flag": (["--imagse=photos"], "--imagse=photos"),
    "impossible value of Beam's": (["--type_check_strictness=SOME"], "type_check_strictness"),
    "missing folder": (["--images", "no/such/folder"], "no/such/folder"),
    "missing font": (["--set", "compose.fonts=no/such.ttf"], "no/such.ttf"),
    "missing model": (["--set", "judge.model.path=./no/such"], "no/such"),
    "Dask": (["--runner=DaskRunner"], "DaskRunner"),
    "threads": (["--direct_running_mode=multi_threading"], "multi_threading"),
    "no workers": (
        ["--direct_running_mode=multi_processing", "--direct_num_workers=0"],
        "direct_num_workers",
    ),
    "unknown runner": (["--runner=NoSuchRunner"], "NoSuchRunner"),
}


def _refused(tmp_path: Path, arguments: list[str], named: str) -> None:
    refused = build(tmp_path / "out", tmp_path / "work", *arguments)
    assert refused.status == 2
    assert refused.stderr.startswith("crossharm: ")
    assert refused.stderr.count("crossharm: ") == 1
    assert named in refused.stderr
    assert "Traceback" not in refused.stderr + refused.stdout
    assert len(refused.stderr.splitlines()) <= 3
    assert not refused.out.exists() and not refused.work.exists()


@pytest.mark.parametrize(("arguments", "named"), REFUSED.values(), ids=REFUSED)
def test_what_cannot_be_done_is_refused_by_name(tmp_path: Path, arguments: list[str], named: str) -> None:
    _refused(tmp_path, arguments, named)


def test_a_missing_column_is_refused_with_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("image,said\n1.jpg,hello\n", encoding="utf-8")
    _refused(tmp_path, ["--texts", str(tmp_path / "t.csv")], "columns: image, said")


def test_a_closed_hazard_is_refused(tmp_path: Path) -> None:
    (tmp_path / "s.toml").write_text(CLOSED, encoding="utf-8")
    _refused(tmp_path, ["--set", f"scenarios.source={tmp_path / 's.toml'}"], "'cse' is closed")


def test_a_profile_that_is_no_toml_is_refused(tmp_path: Path) -> None:
    (tmp_path / "p.toml").write_text("[build\n", encoding="utf-8")
    _refused(tmp_path, ["--profile", str(tmp_path / "p.toml")], "p.toml is not TOML")


def test_a_folder_with_other_files_is_refused_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "README.md").write_text("mine", encoding="utf-8")
    refused = build(tmp_path / "out", tmp_path / "work")
    assert (refused.status, "holds files that no build wrote" in refused.stderr) == (2, True)
    assert [path.read_text() for path in refused.out.iterdir()] == ["mine"]


@pytest.mark.parametrize("own", [("--images", "photos"), ("--set", "texts.source=texts.csv")])
def test_a_dataset_of_ones_own_needs_a_folder_of_its_own(
    own: tuple[str, str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(own) == 2
    assert "name the folder of your dataset with --out" in capsys.readouterr().err


def test_help_names_every_option_and_profile() -> None:
    command = [sys.executable, "-m", "pipelines.build", "--help"]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    for word in ("--profile", "--out", "--images", "--texts", "--set", "--work-dir", "--runner", "tinyworld"):
        assert word in shown


def test_the_command_line_imports_no_heavy_library() -> None:
    heavy = "{'torch', 'apache_beam', 'transformers', 'open_clip', 'faiss', 'pyarrow', 'matplotlib'}"
    script = f"import sys, pipelines.build; print(*({heavy} & sys.modules.keys()))"
    command = [sys.executable, "-c", script]
    shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=60).stdout
    assert shown == "\n"
