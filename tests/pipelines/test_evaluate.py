"""The command as a user gives it, with real models that are too small to know the form of an answer."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from generators.weights import weights_folder
from pipelines.evaluate import BENCHMARKS, main, parser
from pipelines.training.evaluation.layouts import LAYOUTS
from pipelines.training.evaluation.predictions import read_predictions
from tests.pipelines.training.evaluation.made_up import tinyworld_dataset

JUDGE = "builtin:tinyworld/judge"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dataset, a run, and a benchmark of which a row is damaged."""
    root = tmp_path_factory.mktemp("evaluate")
    tinyworld_dataset(root / "dataset", sets=3)
    shutil.copytree(weights_folder(JUDGE, ""), root / "runs" / "sft" / "model")
    facts = {"configuration": {"rewards": {"embedder": "builtin:tinyworld/screen-text"}}}
    (root / "runs" / "sft" / "run.json").write_text(json.dumps(facts), encoding="utf-8")
    (root / "bench").mkdir()
    Image.new("RGB", (64, 64), "red").save(root / "bench" / "a.png")
    rows = [
        {"image": f"{n}.png", "text": "Look at this.", "label": label} for n, label in (("a", 1), ("b", 0))
    ]
    (root / "bench" / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)), encoding="utf-8")
    return root


def evaluate(folder: Path, out: str, *further: str) -> int:
    asked = ["--max-new-tokens", "6", "--device", "cpu", "--out", str(folder / out)]
    return main(["--dataset", str(folder / "dataset"), *asked, *further])


@pytest.fixture(scope="module")
def done(folder: Path) -> dict[str, Any]:
    """Everything at once; returns `metrics.json`."""
    named = ["--run", str(folder / "runs/sft"), "--model", JUDGE, "--probe", "builtin:tinyworld/clip"]
    named += ["--embedder", "builtin:tinyworld/clip", "--benchmark", f"folder:{folder / 'bench'}"]
    assert evaluate(folder, "out", *named) == 0
    facts: dict[str, Any] = json.loads((folder / "out" / "metrics.json").read_text(encoding="utf-8"))
    return facts


def test_all_models_are_measured_on_all_parts(done: dict[str, Any]) -> None:
    assert list(done["parts"]) == ["test", "test_ood", "folder:bench"]
    for part in done["parts"].values():
        assert list(part["models"]) == [
            "judge (zero-shot)",
            "CLIP probe, linear",
            "CLIP probe, kernel",
            "sft",
        ]
        assert len(part["differences"]) == 6
    assert done["benchmarks"]["folder:bench"] == {"rows": 2, "usable": 1, "failed": {"missing_image": 1}}


def test_a_model_that_does_not_know_the_form_is_wrong_but_ranked(done: dict[str, Any]) -> None:
    found = done["parts"]["test"]["models"]["sft"]
    assert found["unparsed"] == found["rows"] == 6
    assert found["measures"]["accuracy"]["value"] == 0.0 and found["measures"]["well_formed"]["value"] == 0.0
    assert found["measures"]["auroc"]["value"] is not None
    assert found["measures"]["similarity"]["value"] == 0.0


def test_a_run_of_the_same_weights_is_no_better(done: dict[str, Any]) -> None:
    differences = done["parts"]["test"]["differences"]
    same = next(one for one in differences if (one["model"], one["minus"]) == ("sft", "judge (zero-shot)"))
    assert same["measures"]["auroc"] == {"value": 0.0, "low": 0.0, "high": 0.0}


def test_everything_is_written(folder: Path, done: dict[str, Any]) -> None:
    out = folder / "out"
    names = {path.relative_to(out).as_posix() for path in out.rglob("*") if path.is_file()}
    assert names == {
        *("metrics.json", "comparison.md", "failed.jsonl", "bars.png", "reliability.png", "by_hazard.png"),
        *(
            f"predictions/{name}.parquet"
            for name in ("judge-zero-shot", "CLIP-probe-linear", "CLIP-probe-kernel", "sft")
        ),
    }
    failed = json.loads((out / "failed.jsonl").read_text(encoding="utf-8"))
    assert (failed["place"], failed["reason"], failed["benchmark"]) == (
        "rows.jsonl:2",
        "missing_image",
        "folder:bench",
    )
    rows = read_predictions(out / "predictions" / "sft.parquet")
    assert len(rows) == 6 + 6 + 1 and all(row.completion and row.p_text_only is not None for row in rows)


def test_the_same_command_writes_the_same_predictions(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for out in ("one", "other"):
        assert (
            evaluate(folder, out, "--model", JUDGE, "--splits", "test", "--no-ablations", "--limit", "2") == 0
        )
    written = [
        (folder / out / "predictions" / "judge-zero-shot.parquet").read_bytes() for out in ("one", "other")
    ]
    assert written[0] == written[1]
    assert (folder / "one/metrics.json").read_bytes() == (folder / "other/metrics.json").read_bytes()
    shown = capsys.readouterr().out
    assert "test (2 pairs, 1 contrast sets)" in shown and "judge (zero-shot)" in shown


@pytest.mark.parametrize(
    ("further", "why"),
    [
        (["--run", "{root}/dataset"], "is no run"),
        (
            ["--run", "{root}/runs/sft", "--embedder", "builtin:tinyworld/screen-text"],
            "name another --embedder",
        ),
        (["--model", "./nowhere"], "nowhere"),
        (["--model", JUDGE, "--splits", "validation"], "no split 'validation'"),
        (["--model", JUDGE, "--benchmark", "siuo:{root}/bench"], "no siuo benchmark"),
        (["--model", JUDGE, "--splits", ""], "nothing to evaluate on"),
        (["--model", JUDGE, "--judge-url", "http://127.0.0.1:9/v1"], "--judge-model"),
        (["--model", JUDGE, "--judge-url", "ftp://x", "--judge-model", "m"], "url: "),
        (["--model", JUDGE, "--batch-size", "0"], "--batch-size"),
        ([], "nothing to evaluate"),
    ],
)
def test_what_cannot_be_used_is_said_in_a_line(
    folder: Path, capsys: pytest.CaptureFixture[str], further: list[str], why: str
) -> None:
    assert evaluate(folder, "refused", *(one.format(root=folder) for one in further)) == 2
    error = capsys.readouterr().err
    assert error.startswith("crossharm: ") and why in error and error.count("\n") == 1


def test_the_help_names_every_kind_of_benchmark() -> None:
    assert all(kind in BENCHMARKS for kind in LAYOUTS)
    assert BENCHMARKS in parser().format_help()


def test_the_help_loads_no_model_library() -> None:
    code = "import sys; from pipelines.evaluate import parser; parser(); print(*sys.modules)"
    said = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert not {"torch", "transformers", "datasets", "numpy"} & set(said.stdout.split())
