import os
from pathlib import Path

import pytest
import torch
from transformers import AutoModelForImageTextToText

from generators.tinyworld.train.dual_encoder import untrained
from generators.tinyworld.train.run import STEPS, load_dual_encoder
from generators.tinyworld.train.vision_tower import vision_weights
from pipelines.models.clip import TextEmbedder
from pipelines.models.judge import Judge, Question
from pipelines.models.screening import ImageScreener, TextScreener
from pipelines.storage.workspace import Workspace
from schemas.config import Model
from schemas.policy import TINYWORLD
from tests.forked import Command


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the command leaves after a few steps on a few scenes."""
    root = tmp_path_factory.mktemp("trained")
    line = ["--effort=0.001", "--scenes=300", "--device=cpu", f"--out={root / 'weights'}"]
    training = Command("generators.tinyworld.train", line, root / "log", os.environ)
    assert training.wait(500) == 0, training.said[1][-2000:]
    return root / "weights"


def _model(folder: Path) -> Model:
    return Model(path=str(folder), batch_size=2)


@pytest.mark.timeout(600)
def test_a_training_leaves_five_models_small_enough_to_ship_and_a_card(trained: Path) -> None:
    assert all((trained / name).is_dir() for name in STEPS)
    assert sum(f.stat().st_size for f in trained.rglob("*") if f.is_file()) < 20e6
    assert "Models of tinyworld" in (trained / "README.md").read_text(encoding="utf-8")


@pytest.mark.timeout(600)
def test_the_builds_own_handlers_load_what_was_trained(trained: Path, tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    for handler, example in (
        (TextEmbedder(_model(trained / "clip")), "hello"),
        (TextScreener(_model(trained / "screen-text"), ("harmful",)), "hello"),
        (Judge(_model(trained / "judge"), TINYWORLD, workspace), Question("", "hello")),
    ):
        (result,) = handler.run_inference([example], handler.load_model())
        assert result
    ImageScreener(_model(trained / "screen-image"), ("harmful",), workspace).load_model()


@pytest.mark.timeout(600)
def test_the_judge_sees_with_the_trained_dual_encoders_tower(trained: Path) -> None:
    judge = AutoModelForImageTextToText.from_pretrained(trained / "judge", dtype=torch.float32)
    expected = vision_weights(load_dual_encoder(trained / "clip"))
    tower = judge.model.vision_tower.state_dict()
    assert set(tower) == set(expected)
    assert all(torch.equal(tower[name], expected[name]) for name in tower)


def test_a_dual_encoder_is_loaded_as_it_was_saved(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    model = untrained()
    halves = {name: tensor.half().contiguous() for name, tensor in model.state_dict().items()}
    save_file(halves, str(tmp_path / "open_clip_model.safetensors"))
    loaded = load_dual_encoder(tmp_path).state_dict()
    assert all(torch.equal(loaded[name], tensor.float()) for name, tensor in halves.items())
