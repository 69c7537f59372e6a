"""`python -m pipelines.train` on the base of tinyworld: a few steps, what moves, what a run leaves, going on."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load_file

from pipelines.train import main
from pipelines.training.policy import load_policy
from tests.pipelines.training.scenealign.scenes import dataset as scenes

BASE = "builtin:tinyworld/base"
FEW = {
    "sft": ("sft.epochs=0.75", "sft.batch_size=4", "sft.log_every=1"),
    # Without rewards that tell completions apart there is no gradient; the perception loss has one of its own.
    "grpo": (
        "grpo.steps=3",
        "grpo.prompts=3",
        "grpo.generations=2",
        "grpo.batch_size=6",
        "grpo.max_completion=12",
        "grpo.log_every=1",
        "mechanisms.perception={}",
    ),
}
LORA = ("policy.lora.rank=4", "policy.freeze_vision=false")

pytestmark = pytest.mark.timeout(300)


def _train(kind: str, dataset: Path, out: Path, *settings: str, more: tuple[str, ...] = ()) -> int:
    line = [kind, f"--dataset={dataset}", f"--model={BASE}", f"--out={out}"]
    return main([*line, *(f"--set={setting}" for setting in (*FEW[kind], *settings)), *more])


def _facts(run: Path) -> dict[str, Any]:
    facts: dict[str, Any] = json.loads((run / "run.json").read_text(encoding="utf-8"))
    return facts


def _losses(run: Path) -> dict[int, float]:
    lines = map(json.loads, (run / "metrics.jsonl").read_text(encoding="utf-8").splitlines())
    return {line["step"]: line["loss"] for line in lines if "loss" in line}


@pytest.fixture(scope="module", params=FEW)
def run(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A short run of each kind, with a checkpoint after every step."""
    out = tmp_path_factory.mktemp(request.param) / "run"
    dataset = _dataset(out.parent)
    assert _train(request.param, dataset, out, f"{request.param}.save_every=1") == 0
    return out


def _dataset(folder: Path) -> Path:
    from tests.planted import plant_dataset

    return plant_dataset(folder / "planted", groups=8)


def test_every_trainable_parameter_moves_and_the_image_tower_does_not(run: Path) -> None:
    before = load_policy(BASE, "float32").model.state_dict()
    after = load_policy(str(run), "float32").model.state_dict()
    assert set(before) == set(after)
    for name, weights in before.items():
        assert torch.equal(weights, after[name]) == ("vision_tower" in name), name


def test_a_run_says_what_it_was_made_of(run: Path) -> None:
    facts = _facts(run)
    assert (facts["base"], facts["steps"]) == (BASE, 3)
    assert facts["dataset"]["name"] == "planted" and len(facts["dataset"]["digest"]) == 64
    assert facts["versions"]["trl"] and facts["configuration"][facts["kind"]]["log_every"] == 1
    assert sorted(_losses(run)) == [1, 2, 3]
    card = (run / "model" / "README.md").read_text(encoding="utf-8")
    assert f"pipelines.train {facts['kind']}" in card and BASE in card
    assert list((run / "tensorboard").iterdir()) and (run / "curves.png").stat().st_size > 5_000


def test_a_resumed_run_goes_on_with_the_same_losses(run: Path, tmp_path: Path) -> None:
    kind = _facts(run)["kind"]
    again = tmp_path / "again"
    shutil.copytree(run / "checkpoints" / "checkpoint-2", again / "checkpoints" / "checkpoint-2")
    shutil.copy(run / "metrics.jsonl", again)
    dataset = _dataset(tmp_path)
    assert _train(kind, dataset, again, f"{kind}.save_every=1", more=("--resume",)) == 0
    assert _losses(again) == pytest.approx(_losses(run), rel=1e-4)
    one, other = (load_file(folder / "model" / "model.safetensors") for folder in (run, again))
    assert all(torch.allclose(one[name], other[name], atol=1e-6) for name in one)


def test_adapters_move_and_nothing_else(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert _train("sft", _dataset(tmp_path), out, *LORA) == 0
    adapters = load_file(out / "model" / "adapter_model.safetensors")
    assert any(weights.any() for name, weights in adapters.items() if "lora_B" in name)
    before = load_policy(BASE, "float32").model.state_dict()
    merged = load_policy(str(out), "float32").model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], merged[name])}
    assert moved and not any("embed" in name or "norm" in name for name in moved)


def test_dpo_says_what_became_of_the_margins_on_unseen_scenes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder, other = scenes(tmp_path / "seen", range(6)), scenes(tmp_path / "unseen", range(100, 104))
    (shard,) = (other / "data").glob("*.parquet")
    shutil.move(shard, folder / "data" / shard.name.replace("train", "test"))
    line = ["dpo", f"--dataset={folder}", f"--model={BASE}", f"--out={tmp_path / 'run'}"]
    assert main([*line, "--set=dpo.batch_size=4", "--set=dpo.unseen_examples=3"]) == 0
    found = json.loads((tmp_path / "run" / "margins.json").read_text(encoding="utf-8"))
    assert set(found) == {"test"}
    assert 0 < max(one["pairs"] for one in found["test"].values()) <= 3
    assert all(one["before"] != one["after"] for one in found["test"].values())
    said = capsys.readouterr().out
    assert all(kind in said for kind in found["test"])


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set=sft.epoch=1"], "unknown key `sft.epoch`"),
        (["--set=rewards.weights.verdikt=1"], "unknown rewards verdikt; known: format, verdict"),
        (["--set=grpo.prompts=3", "--set=grpo.batch_size=7"], "no multiple of batch_size"),
        (["--profile=nowhere"], "there is no profile nowhere"),
        (["--dataset=no/such"], "no/such holds no dataset"),
        (["--model=./no/such"], "no/such"),
        (["--resume"], "holds no checkpoint to resume from"),
    ],
)
def test_what_cannot_be_used_is_said_by_name(
    arguments: list[str], said: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["sft", f"--dataset={_dataset(tmp_path)}", f"--model={BASE}", f"--out={tmp_path / 'run'}"]
    assert main([*line, *arguments]) == 2
    complaint = capsys.readouterr().err
    assert complaint.count("crossharm: ") == 1 and "Traceback" not in complaint
    assert said in complaint


def test_a_finished_run_is_not_written_over(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["sft", "--dataset=.", f"--out={run}"]) == 2
    assert "holds a finished run" in capsys.readouterr().err
