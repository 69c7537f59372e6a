"""A small world for the stages: assets, and real handlers that compute their answers from hashes."""

from __future__ import annotations

import hashlib
import pickle
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import numpy as np
import pytest
from apache_beam.ml.inference.base import ModelHandler
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from pipelines.calibration import Scaling
from pipelines.progress import Tally
from pipelines.storage.workspace import Workspace
from schemas.records import SPLITS, ImageAsset, Provenance, Scenario, TextAsset

DIMENSIONS = 6


def digest(text: str) -> str:
    return hashlib.sha256(text.encode()).hexdigest()


class Hashing(ModelHandler[Any, bytes, str]):
    """Base of handlers without weights; an example that holds `boom` cannot be answered."""

    name = "hashing"

    def fingerprint(self) -> str:
        return digest(type(self).__name__)

    def load_model(self) -> str:
        return self.name

    def run_inference(
        self, batch: Sequence[Any], model: str, inference_args: dict[str, Any] | None = None
    ) -> Iterable[bytes]:
        for example in batch:
            if "boom" in str(example):
                raise ValueError(f"cannot answer {example}")
            yield np.asarray(self.answer(example), dtype="<f4").tobytes()

    def answer(self, example: Any) -> Any:
        raise NotImplementedError


class ImageVectors(Hashing):
    """A unit vector from the hash of an id."""

    def answer(self, example: Any) -> Any:
        vector = (
            np.frombuffer(hashlib.sha256(example.encode()).digest()[:DIMENSIONS], dtype=np.uint8) / 127.5 - 1
        )
        return vector / np.linalg.norm(vector)


class TextVectors(ImageVectors):
    """The same for texts, under a fingerprint of its own."""


class Classifier(Hashing):
    """Harmful if the content says `bad`."""

    name = "bad-words"

    def answer(self, example: Any) -> Any:
        return [0.9 if "bad" in example else 0.1]


class JudgeOfHashes(Hashing):
    """Parts are benign unless they say `evil`; of the pairs two fifths are harmful, two fifths benign."""

    name = "judge-of-hashes"
    scaling = Scaling()

    def answer(self, example: Any) -> Any:
        if not (example.image_id and example.text):
            return [0.8 if "evil" in "".join(example) else 0.05]
        return [(0.97, 0.97, 0.5, 0.02, 0.02)[int(digest("|".join(example)), 16) % 5]]


@pytest.fixture
def image_vectors() -> ImageVectors:
    return ImageVectors()


@pytest.fixture
def text_vectors() -> TextVectors:
    return TextVectors()


@pytest.fixture
def classifier() -> Classifier:
    return Classifier()


@pytest.fixture
def judge() -> JudgeOfHashes:
    return JudgeOfHashes()


@pytest.fixture
def workspace(tmp_path: Path) -> Workspace:
    return Workspace(str(tmp_path / "work"))


@pytest.fixture
def tally() -> Tally:
    return Tally("", "test")


@pytest.fixture
def image() -> Callable[..., ImageAsset]:
    def make(name: str, split: str = "train") -> ImageAsset:
        return ImageAsset(digest(name), 8, 8, "0" * 64, Provenance("pool", name, "retrieved"), split=split)

    return make


@pytest.fixture
def text() -> Callable[..., TextAsset]:
    def make(words: str, split: str = "train") -> TextAsset:
        return TextAsset(digest(words), words, Provenance("pool", words, "retrieved"), split=split)

    return make


@pytest.fixture
def pools(image: Any, text: Any) -> dict[str, list[Any]]:
    """Forty images and forty texts in each split."""
    return {
        "images": [image(f"image {split} {i}", split) for split in SPLITS for i in range(40)],
        "texts": [text(f"text {split} {i}", split) for split in SPLITS for i in range(40)],
    }


@pytest.fixture
def scenarios() -> tuple[Scenario, ...]:
    return tuple(
        Scenario(
            f"s{i}", "phy", "poisoning", f"a picture of {i}", f"words on {i % 3}", "", held_out=i % 4 == 3
        )
        for i in range(8)
    )


@pytest.fixture
def run(tmp_path: Path) -> Callable[..., dict[str, list[Any]]]:
    """Run a transform on lists of elements and return the elements of each of its outputs."""

    def run(transform: Any, inputs: Any) -> dict[str, list[Any]]:
        with beam.Pipeline(runner=FnApiRunner()) as pipeline:
            outputs = _create(pipeline, inputs) | "Under test" >> transform
            outputs = outputs if isinstance(outputs, dict) else {"out": outputs}
            for name, output in outputs.items():
                path = str(tmp_path / name)
                output | f"List-{name}" >> beam.combiners.ToList() | f"Dump-{name}" >> beam.Map(_dump, path)
        return {name: pickle.loads((tmp_path / name).read_bytes()) for name in outputs}  # noqa: S301

    return run


def _create(pipeline: Any, inputs: Any) -> Any:
    if isinstance(inputs, dict):
        return {name: pipeline | f"Create-{name}" >> beam.Create(rows) for name, rows in inputs.items()}
    return pipeline | beam.Create(inputs)


def _dump(elements: list[Any], path: str) -> None:
    Path(path).write_bytes(pickle.dumps(elements))
