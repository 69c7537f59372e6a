"""What an accelerator changes, shown without one: `meta` tensors have a device, and batches can run one by one."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from pipelines.models import clip, screening, vision_language
from pipelines.models.clip import ImageEmbedder, TextEmbedder
from pipelines.models.devices import accelerated, moved
from pipelines.models.judge import Judge, Question, Rationaliser
from pipelines.models.screening import ImageScreener, TextScreener
from pipelines.storage.workspace import Workspace
from schemas.config import Model
from schemas.policy import TINYWORLD
from tests.checkpoints import qwen_vl


def test_a_module_elsewhere_than_on_the_cpu_is_accelerated() -> None:
    assert not accelerated(torch.nn.Linear(2, 2))
    assert accelerated(torch.nn.Linear(2, 2, device="meta"))


def test_inputs_go_to_the_modules_device_and_precision() -> None:
    module = torch.nn.Linear(2, 2, device="meta", dtype=torch.bfloat16)
    inputs = moved({"pixels": torch.zeros(2), "ids": torch.zeros(2, dtype=torch.long), "flag": True}, module)
    assert {inputs["pixels"].device.type, inputs["ids"].device.type} == {"meta"}
    assert (inputs["pixels"].dtype, inputs["ids"].dtype, inputs["flag"]) == (torch.bfloat16, torch.long, True)


@pytest.fixture
def one_by_one(monkeypatch: pytest.MonkeyPatch) -> Any:
    def switch() -> None:
        for module in (clip, screening, vision_language):
            monkeypatch.setattr(module, "accelerated", lambda model: True)

    return switch


@pytest.fixture
def models(clip_folder: Path, image_classifier_folder: Path, text_classifier_folder: Path) -> list[Model]:
    folders = (clip_folder, image_classifier_folder, text_classifier_folder)
    return [Model(path=str(folder), batch_size=4, dtype="bfloat16") for folder in folders]


def test_encoders_and_classifiers_say_the_same_one_batch_at_a_time(
    models: list[Model], workspace: Workspace, images: list[str], texts: list[str], one_by_one: Any
) -> None:
    dual, image_classifier, text_classifier = models
    asked: list[tuple[Any, list[str]]] = [
        (ImageEmbedder(dual, workspace), images),
        (TextEmbedder(dual), texts),
        (ImageScreener(image_classifier, ("harmful",), workspace), images),
        (TextScreener(text_classifier, ("harmful",)), texts),
    ]
    loaded = [handler.load_model() for handler, _ in asked]
    before = [list(h.run_inference(items, m)) for (h, items), m in zip(asked, loaded, strict=True)]
    one_by_one()
    assert [list(h.run_inference(items, m)) for (h, items), m in zip(asked, loaded, strict=True)] == before


def test_a_judge_with_its_own_processor_says_the_same_one_batch_at_a_time(
    tmp_path: Path, workspace: Workspace, images: list[str], one_by_one: Any
) -> None:
    model = Model(path=str(qwen_vl(tmp_path)), batch_size=4)
    judge = Judge(model, TINYWORLD, workspace)
    loaded = judge.load_model()
    assert loaded.vision is None
    questions = [Question(image, text) for image in images for text in ("", "taste it")]
    before = list(judge.run_inference(questions, loaded))
    assert len(set(before)) > len(before) / 2
    one_by_one()
    assert list(judge.run_inference(questions, loaded)) == before


def test_a_process_holds_the_weights_of_a_model_once(workspace: Any) -> None:
    judge, encoder = Model(path="builtin:tinyworld/judge"), Model(path="builtin:tinyworld/clip")
    asked, explaining = (kind(judge, TINYWORLD, workspace).load_model() for kind in (Judge, Rationaliser))
    assert asked is explaining
    assert ImageEmbedder(encoder, workspace).load_model() is TextEmbedder(encoder).load_model()


def test_another_precision_is_another_model(workspace: Any) -> None:
    plain = Model(path="builtin:tinyworld/clip")
    half = plain.model_copy(update={"dtype": "bfloat16"})
    loaded = [ImageEmbedder(model, workspace).load_model() for model in (plain, half)]
    assert loaded[0] is not loaded[1]
