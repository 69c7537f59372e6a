"""`python -m pipelines.train` on the base of tinyworld: a few steps, what moves, what a run leaves, going on."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from safetensors.torch import load_file

from pipelines.train import main
from pipelines.training.policy import load_policy
from pipelines.training.run_folder import BEGUN, RunFolder
from tests.datasets import write_dataset
from tests.pipelines.training.scenealign.looking import Server, serving
from tests.pipelines.training.scenealign.scenes import dataset as scenes
from tests.pipelines.training.scenealign.scenes import row

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
LORA = ("policy.lora.rank=4", "policy.lora.alpha=8")
STILL = "learning_rate=1e-12"

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


@pytest.fixture
def server() -> Iterator[Server]:
    """A vision-language model that sees a teapot in every picture."""
    with serving() as one:
        yield one


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


@pytest.fixture(scope="module")
def adapted(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of SFT with adapters that do something."""
    out = tmp_path_factory.mktemp("adapted") / "run"
    assert _train("sft", _dataset(out.parent), out, *LORA, "sft.learning_rate=1e-2") == 0
    return out


def test_adapters_move_and_nothing_else(adapted: Path) -> None:
    adapters = load_file(adapted / "model" / "adapter_model.safetensors")
    assert any(weights.any() for name, weights in adapters.items() if "lora_B" in name)
    before = load_policy(BASE, "float32").model.state_dict()
    merged = load_policy(str(adapted), "float32").model.state_dict()
    moved = {name for name in before if not torch.equal(before[name], merged[name])}
    assert moved and not any(part in name for name in moved for part in ("embed", "norm", "vision_tower"))
    assert not any("vision_tower" in name for name in adapters)


@pytest.mark.parametrize("beta", [0, 0.1])
def test_grpo_goes_on_with_the_adapters_of_the_run_that_it_starts_from(
    adapted: Path, tmp_path: Path, beta: float
) -> None:
    line = ["grpo", f"--dataset={_dataset(tmp_path)}", f"--model={adapted}", f"--out={tmp_path / 'run'}"]
    settings = (*FEW["grpo"], *LORA, f"grpo.{STILL}", f"grpo.beta={beta}")
    assert main([*line, *(f"--set={one}" for one in settings)]) == 0
    base, first, second = (
        load_policy(str(model), "float32").model.state_dict() for model in (BASE, adapted, tmp_path / "run")
    )
    assert any(not torch.allclose(base[name], first[name], atol=1e-3) for name in base)
    assert all(torch.allclose(first[name], second[name], atol=1e-6) for name in base)
    assert not (tmp_path / "run" / "model" / "ref").exists()


def test_dpo_measures_from_the_adapters_that_it_starts_with(adapted: Path, tmp_path: Path) -> None:
    folder = _seen_and_unseen(tmp_path)
    line = ["dpo", f"--dataset={folder}", f"--model={adapted}", f"--out={tmp_path / 'run'}"]
    settings = (*LORA, f"dpo.{STILL}", "dpo.batch_size=4", "dpo.unseen_examples=3", "dpo.fluency=true")
    assert main([*line, *(f"--set={one}" for one in settings)]) == 0
    found = json.loads((tmp_path / "run" / "margins.json").read_text(encoding="utf-8"))
    assert all(one["before"] == pytest.approx(one["after"], abs=1e-3) for one in found["test"].values())


def test_adapters_of_another_size_are_refused_with_what_to_set(
    adapted: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    line = ["grpo", f"--dataset={_dataset(tmp_path)}", f"--model={adapted}", f"--out={tmp_path / 'run'}"]
    assert main([*line, "--set=policy.lora.rank=8"]) == 2
    assert "set policy.lora.rank=4 and policy.lora.alpha=8" in capsys.readouterr().err
    assert main([*line, "--set=grpo.beta=0.1"]) == 2
    assert "grpo.beta" in capsys.readouterr().err


def test_dpo_looks_at_foreign_pictures_once(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], server: Server
) -> None:
    folder = write_dataset(tmp_path / "foreign", [_teapot(number) for number in range(6)], shards=1)
    line = ["dpo", f"--dataset={folder}", f"--model={BASE}", "--set=dpo.batch_size=4"]
    assert main([*line, f"--out={tmp_path / 'blind'}"]) == 2
    assert "name a model or a server that looks at them, in dpo.sight" in capsys.readouterr().err
    endpoint = f'dpo.sight.endpoint={{url = "http://127.0.0.1:{server.server_port}/v1", model = "eyes"}}'
    assert main([*line, f"--out={tmp_path / 'run'}", f"--set={endpoint}"]) == 0
    assert "swap: 6 kept" in capsys.readouterr().err
    assert len(server.asked) == 6
    (memory,) = (tmp_path / "run").glob("scenes-*.jsonl")
    lines = memory.read_text().splitlines(keepends=True)
    memory.write_text("".join(lines[:-1]) + lines[-1][:40])  # As a kill would leave it.
    for asked in (7, 7):
        (tmp_path / "run" / "run.json").rename(tmp_path / "run" / BEGUN)
        assert main([*line, f"--out={tmp_path / 'run'}", f"--set={endpoint}"]) == 0
        assert len(server.asked) == asked
    (tmp_path / "run" / "run.json").rename(tmp_path / "run" / BEGUN)
    other = endpoint.replace('"eyes"', '"other eyes"')
    assert main([*line, f"--out={tmp_path / 'run'}", f"--set={other}"]) == 0
    assert len(server.asked) == 13


def _teapot(number: int) -> dict[str, Any]:
    """A benign pair of a picture that is not tinyworld's, of which `EXAMPLE` is a right scene graph."""
    pair = row(number) | {"label": 0, "role": "benign", "hazard": "", "mechanism": "", "rationale": ""}
    out = io.BytesIO()
    Image.new("RGB", (32, 32), (0, 40 * number, 200)).save(out, "PNG")
    return pair | {
        "image": {"bytes": out.getvalue(), "path": "a.png"},
        "image_generator": "",
        "image_prompt": "",
        "image_seed": None,
        "image_caption": "a large blue teapot on the left and a spoon on the right in a kitchen",
    }


def test_dpo_says_what_became_of_the_margins_on_unseen_scenes(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = _seen_and_unseen(tmp_path)
    line = ["dpo", f"--dataset={folder}", f"--model={BASE}", f"--out={tmp_path / 'run'}"]
    assert main([*line, "--set=dpo.batch_size=4", "--set=dpo.unseen_examples=3"]) == 0
    found = json.loads((tmp_path / "run" / "margins.json").read_text(encoding="utf-8"))
    assert set(found) == {"test"}
    assert 0 < max(one["pairs"] for one in found["test"].values()) <= 3
    assert all(one["before"] != one["after"] for one in found["test"].values())
    said = capsys.readouterr().out
    assert all(kind in said for kind in found["test"])


def _seen_and_unseen(tmp_path: Path) -> Path:
    """A dataset of tinyworld's scenes, some of them in `train` and some in `test`."""
    folder, other = scenes(tmp_path / "seen", range(6)), scenes(tmp_path / "unseen", range(100, 104))
    (shard,) = (other / "data").glob("*.parquet")
    shutil.move(shard, folder / "data" / shard.name.replace("train", "test"))
    return folder


def test_harmful_pairs_without_a_rationale_are_counted_and_without_any_nothing_is_learned(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = [row(seed) for seed in range(40)]
    harmful = [pair["id"] for pair in pairs if pair["label"]]
    some = [pair | {"rationale": "" if pair["id"] == harmful[0] else pair["rationale"]} for pair in pairs]
    none = [pair | {"rationale": ""} for pair in pairs]
    out = io.BytesIO()
    Image.new("RGB", (64, 64), "teal").save(out, "PNG")
    image = {"image": {"bytes": out.getvalue(), "path": "a.png"}}
    for name, written in (("some", some), ("none", none)):
        write_dataset(tmp_path / name, [pair | image for pair in written], shards=1)
    assert _train("sft", tmp_path / "some", tmp_path / "run", "sft.concatenation=0.1") == 0
    said = capsys.readouterr().err
    assert "left out: 1 harmful pairs without a rationale" in said and "joined rows could be made" in said
    assert _train("sft", tmp_path / "none", tmp_path / "other") == 2
    assert "no harmful pair with a rationale is left" in capsys.readouterr().err


def test_a_run_is_resumed_on_the_same_dataset_and_not_begun_again_over_checkpoints(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    dataset, out = _dataset(tmp_path), tmp_path / "run"
    run_folder = RunFolder(out)
    assert _train("sft", dataset, out, "sft.save_every=1") == 0
    facts = _facts(out) | {"dataset": {"name": "another", "digest": "0"}}
    (out / "run.json").unlink()
    run_folder.begin(facts)
    assert _train("sft", dataset, out, more=("--resume",)) == 2
    assert "was begun with the dataset {'name': 'another'" in capsys.readouterr().err
    (run_folder.checkpoints / "checkpoint-1").mkdir(parents=True)
    assert _train("sft", dataset, out) == 2
    assert "give --resume to go on from the last one" in capsys.readouterr().err
    assert list(run_folder.checkpoints.glob("checkpoint-*"))


def test_a_folder_of_something_else_is_left_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    mine = tmp_path / "mine" / "tensorboard" / "events"
    mine.parent.mkdir(parents=True)
    mine.write_text("mine")
    assert _train("sft", _dataset(tmp_path), tmp_path / "mine") == 2
    assert "holds files that no training wrote, such as 'tensorboard'" in capsys.readouterr().err
    assert mine.read_text() == "mine"


def test_a_launcher_of_many_processes_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert _train("sft", tmp_path, tmp_path / "run") == 2
    assert "one process" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--set=sft.epoch=1"], "unknown key `sft.epoch`"),
        (["--set=rewards.weights.verdikt=1"], "unknown rewards verdikt; known: format, verdict"),
        (["--set=grpo.prompts=3", "--set=grpo.batch_size=7"], "no multiple of batch_size"),
        (["--set=mechanisms.clipping={}"], "set grpo.iterations to 2 or more"),
        (["--set=rewards.parameters.saftey.beta=0.5"], "parameters of saftey, which has no weight"),
        (["--set=rewards.multiplier.value=20"], "value (20.0) is above highest (10.0)"),
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
