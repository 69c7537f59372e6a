import json
import pickle
import shutil
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import numpy as np
import pytest
import torch
from apache_beam.ml.inference.base import RunInference
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from transformers import pipeline as transformers_pipeline

from pipelines.models.screening import Classifier, ImageScreener, TextScreener
from pipelines.storage.workspace import Workspace
from schemas.config import Model

Make = Callable[..., ImageScreener | TextScreener]


@pytest.fixture(params=["image", "text"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def examples(kind: str, images: list[str], texts: list[str]) -> list[str]:
    return images if kind == "image" else texts


@pytest.fixture
def screener(
    kind: str, image_classifier_folder: Path, text_classifier_folder: Path, workspace: Workspace
) -> Make:
    def make(labels: tuple[str, ...] = ("harmful",), **settings: int) -> ImageScreener | TextScreener:
        folder = image_classifier_folder if kind == "image" else text_classifier_folder
        model = Model(path=str(folder), **({"batch_size": 4} | settings))
        return ImageScreener(model, labels, workspace) if kind == "image" else TextScreener(model, labels)

    return make


@pytest.fixture
def loaded(screener: Make) -> Classifier:
    return screener().load_model()


def _probabilities(results: object) -> list[float]:
    return [float(np.frombuffer(row, dtype="<f4")[0]) for row in results]


def test_every_example_gets_one_probability(screener: Make, loaded: Classifier, examples: list[str]) -> None:
    results = list(screener().run_inference(examples, loaded))
    assert all(len(row) == 4 for row in results)
    assert all(0 <= p <= 1 for p in _probabilities(results))
    assert len(set(results)) == 11


def test_a_probability_does_not_depend_on_neighbours_order_or_threads(
    screener: Make, loaded: Classifier, examples: list[str], shuffled: Callable[[int], list[int]]
) -> None:
    together = list(screener(threads=1).run_inference(examples, loaded))
    alone = [row for e in examples for row in screener().run_inference([e], loaded)]
    order = shuffled(len(examples))
    moved = list(screener(threads=3).run_inference([examples[i] for i in order], loaded))
    assert alone == together
    assert moved == [together[i] for i in order]


def test_the_probabilities_of_several_labels_are_added(
    screener: Make, loaded: Classifier, examples: list[str]
) -> None:
    both = screener(("benign", "harmful"))
    results = both.run_inference(examples, both.load_model())
    assert _probabilities(results) == pytest.approx([1] * len(examples))
    other = screener(("benign",))
    benign = _probabilities(other.run_inference(examples, other.load_model()))
    harmful = _probabilities(screener().run_inference(examples, loaded))
    np.testing.assert_allclose(np.add(benign, harmful), 1, atol=1e-6)


def test_a_label_that_the_model_lacks_is_refused_with_those_it_has(screener: Make) -> None:
    with pytest.raises(ValueError, match=r"no label \['nsfw'\].*\['benign', 'harmful'\]"):
        screener(("nsfw", "harmful")).load_model()


def test_other_labels_have_another_fingerprint(screener: Make) -> None:
    prints = {screener(labels).fingerprint() for labels in (("harmful",), ("benign",), ("benign", "harmful"))}
    assert len(prints) == 3


def test_no_examples_give_no_probabilities(screener: Make, loaded: Classifier) -> None:
    assert list(screener().run_inference([], loaded)) == []


def test_a_handler_travels_to_workers_and_finds_the_same(
    screener: Make, loaded: Classifier, examples: list[str]
) -> None:
    moved = pickle.loads(pickle.dumps(screener()))  # noqa: S301
    assert (moved.fingerprint(), moved.name) == (screener().fingerprint(), screener().name)
    results = list(moved.run_inference(examples[:3], moved.load_model()))
    assert results == list(screener().run_inference(examples[:3], loaded))


def test_beams_own_run_inference_takes_the_handler(
    screener: Make, loaded: Classifier, examples: list[str]
) -> None:
    expected = list(screener().run_inference(examples, loaded))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        assert_that(pipeline | beam.Create(examples) | RunInference(screener()), equal_to(expected))


def test_probabilities_of_texts_equal_those_of_transformers(
    text_classifier_folder: Path, texts: list[str]
) -> None:
    short = [text for text in texts if len(text) < 200]
    screener = TextScreener(Model(path=str(text_classifier_folder)), ("harmful",))
    classify = transformers_pipeline(
        "text-classification",
        model=str(text_classifier_folder),
        top_k=None,
        dtype=torch.float32,
        device="cpu",
    )
    expected = [next(s["score"] for s in scores if s["label"] == "harmful") for scores in classify(short)]
    results = _probabilities(screener.run_inference(short, screener.load_model()))
    assert results == pytest.approx(expected, abs=1e-5)


def test_a_text_longer_than_the_model_takes_is_cut(text_classifier_folder: Path) -> None:
    screener = TextScreener(Model(path=str(text_classifier_folder)), ("harmful",))
    cut, whole = screener.run_inference(["well " * 500, "well " * 499], screener.load_model())
    assert cut == whole


def test_many_threads_share_a_tokenizer_without_trouble(
    text_classifier_folder: Path, texts: list[str]
) -> None:
    model = Model(path=str(text_classifier_folder), batch_size=1, threads=8)
    screener = TextScreener(model, ("harmful",))
    many = [f"{text[:80]} {n}" for n in range(20) for text in texts]
    assert len(list(screener.run_inference(many, screener.load_model()))) == len(many)


def _rewritten(folder: Path, out: Path, **entries: object) -> Path:
    """A copy of a checkpoint with entries of its configuration changed."""
    shutil.copytree(folder, out)
    config = json.loads((out / "config.json").read_text())
    (out / "config.json").write_text(json.dumps(config | entries))
    return out


def test_independent_labels_are_read_as_transformers_reads_them(
    text_classifier_folder: Path, tmp_path: Path, texts: list[str]
) -> None:
    folder = _rewritten(text_classifier_folder, tmp_path / "m", problem_type="multi_label_classification")
    screener = TextScreener(Model(path=str(folder)), ("harmful", "benign"))
    classify = transformers_pipeline("text-classification", model=str(folder), top_k=None)
    short = [text for text in texts if len(text) < 100]
    greatest = [max(label["score"] for label in labels) for labels in classify(short)]
    found = _probabilities(screener.run_inference(short, screener.load_model()))
    assert found == pytest.approx(greatest, abs=1e-5)
    assert max(found) < 1


def test_label_numbers_written_as_strings_are_understood(
    image_classifier_folder: Path, tmp_path: Path, images: list[str], workspace: Workspace
) -> None:
    labels = json.loads((image_classifier_folder / "config.json").read_text())["label2id"]
    strings = {label: str(number) for label, number in labels.items()}
    folder = _rewritten(image_classifier_folder, tmp_path / "m", label2id=strings)
    found, expected = (
        list(screener.run_inference(images, screener.load_model()))
        for screener in (
            ImageScreener(Model(path=str(path)), ("harmful",), workspace)
            for path in (folder, image_classifier_folder)
        )
    )
    assert found == expected
