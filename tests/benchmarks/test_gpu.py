"""The measurements for a GPU, with tiny shapes on the CPU: everything but the rates can be seen here."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
import torch

from generators.weights import weights_folder
from tests.benchmarks import gpu, gpu_tinyworld
from tests.pipelines.training.evaluation.made_up import tinyworld_dataset

ROOT = Path(__file__).parents[2]


def test_every_path_and_its_bare_loop_run(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "tests.benchmarks.gpu", "--tiny", f"--json={tmp_path / 'rates.json'}"]
    # Threads that wait for each other by spinning would take the cores from those that work.
    quiet = {"OMP_NUM_THREADS": "1", "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1"}
    run = subprocess.run(
        command, cwd=ROOT, env=os.environ | quiet, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    rates = json.loads((tmp_path / "rates.json").read_text())
    assert [one["measurement"] for one in rates] == ["drawing", "judging", "embedding", "training"]
    assert all(one["pipeline"] > 0 < one["bare"] and one["limit"] is None for one in rates)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_without_a_gpu_it_says_what_it_would_do(capsys: pytest.CaptureFixture[str]) -> None:
    assert gpu.main([]) == 0
    said = " ".join(capsys.readouterr().out.split())
    assert "no GPU" in said and "1,024 pairs" in said and "needs 20 GB" in said


def test_a_pipeline_that_is_too_slow_is_told() -> None:
    slow = gpu.Comparison(
        "judging", "shape", 4, "bfloat16", 8.9, 10.0, "pairs/s", 1.0, 1.0, gpu.LIMITS["judging"]
    )
    assert not slow.ok and slow._replace(pipeline=9.0).ok


def test_a_base_ten_times_larger_is_made_trained_and_compared(tmp_path: Path) -> None:
    tinyworld_dataset(tmp_path / "dataset", sets=2)
    line = ["--tiny", f"--dataset={tmp_path / 'dataset'}", f"--out={tmp_path / 'large'}"]
    assert gpu_tinyworld.main(line) == 0
    sizes = [
        (folder / "model.safetensors").stat().st_size
        for folder in (tmp_path / "large/base", weights_folder("builtin:tinyworld/base", ""))
    ]
    assert sizes[0] / sizes[1] == pytest.approx(10, rel=0.05)
    facts = json.loads((tmp_path / "large/evaluation/metrics.json").read_text(encoding="utf-8"))
    assert set(facts["parts"]["test"]["models"]) == {
        *("base (zero-shot)", "CLIP probe, linear", "CLIP probe, kernel"),
        *("sft", "grpo"),
    }
