"""Shared vision: handing the tower's features over changes no answer, and no image is seen twice."""

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from pipelines.models import shared_vision
from pipelines.models.judge import Judge, Question, Rationaliser
from pipelines.models.shared_vision import SharedVision
from pipelines.models.vision_language import VisionLanguageModel, load_vision_language_model
from pipelines.storage.workspace import Workspace
from schemas.config import Model
from schemas.policy import TINYWORLD

Load = Callable[[], VisionLanguageModel]


@pytest.fixture
def settings(judge_folder: Path) -> Model:
    return Model(path=str(judge_folder), batch_size=4, threads=1)


@pytest.fixture
def load(settings: Model) -> Load:
    return lambda: replace(load_vision_language_model(settings))


@pytest.fixture
def judge(settings: Model, workspace: Workspace) -> Judge:
    return Judge(settings, TINYWORLD, workspace)


@pytest.fixture
def pairs(images: list[str], texts: list[str]) -> list[Question]:
    return [Question(image, text) for image in images for text in texts[3:6]]


@pytest.fixture
def seen(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The ids of the images whose pixels are read."""
    ids: list[str] = []
    pixels = SharedVision._pixels
    monkeypatch.setattr(
        SharedVision, "_pixels", lambda self, id, blobs: ids.append(id) or pixels(self, id, blobs)
    )
    return ids


def _without(load: Load) -> VisionLanguageModel:
    model = load()
    object.__setattr__(model, "vision", None)
    return model


def test_answers_and_rationales_are_those_of_the_whole_model(
    settings: Model, load: Load, workspace: Workspace, pairs: list[Question]
) -> None:
    def answers(model: VisionLanguageModel) -> Any:
        return np.frombuffer(
            b"".join(Judge(settings, TINYWORLD, workspace).run_inference(pairs, model)), "<f4"
        )

    shared, whole = load(), _without(load)
    np.testing.assert_allclose(answers(shared), answers(whole), atol=1e-6)
    rationaliser = Rationaliser(settings, TINYWORLD, workspace)
    assert list(rationaliser.run_inference(pairs[:4], shared)) == list(
        rationaliser.run_inference(pairs[:4], whole)
    )


def test_an_image_is_seen_once(judge: Judge, load: Load, pairs: list[Question], seen: list[str]) -> None:
    model = load()
    list(judge.run_inference(pairs, model))
    list(judge.run_inference([*pairs, Question(pairs[0].image_id, "")], model))
    assert sorted(seen) == sorted({pair.image_id for pair in pairs})


def test_of_many_images_the_last_are_remembered(
    judge: Judge, load: Load, pairs: list[Question], seen: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load()
    list(judge.run_inference(pairs[:1], model))
    assert model.vision is not None
    (one,) = model.vision._known.values()
    monkeypatch.setattr(shared_vision, "CAPACITY", 2 * one.tensor.nbytes)
    first = list(judge.run_inference(pairs, model))
    seen.clear()
    assert list(judge.run_inference(pairs, model)) == first
    assert 0 < len(seen) == len({pair.image_id for pair in pairs}) - 2


def test_a_model_that_takes_more_than_pixels_is_left_alone(
    load: Load, monkeypatch: pytest.MonkeyPatch
) -> None:
    model = load()
    processor = type(model.processor)
    call = processor.__call__
    monkeypatch.setattr(
        processor, "__call__", lambda self, **inputs: call(self, **inputs) | {"image_grid_thw": [1, 8, 8]}
    )
    assert SharedVision.of(model.model, model.processor) is None
