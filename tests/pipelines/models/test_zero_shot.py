import pickle
from collections.abc import Callable
from pathlib import Path

import apache_beam as beam
import numpy as np
import open_clip
import pytest
import torch
from apache_beam.ml.inference.base import RunInference
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to
from PIL import Image

from pipelines.models.zero_shot import Concepts, ZeroShot, ZeroShotScreener, default_concepts
from pipelines.storage.cache import CachedInference
from pipelines.storage.workspace import Workspace
from schemas.config import Model

CONCEPTS = Concepts(("a knife", "a bottle of poison"), ("a cup", "a dog", "a cake"))
Make = Callable[..., ZeroShotScreener]


@pytest.fixture
def screener(clip_folder: Path, workspace: Workspace) -> Make:
    def make(concepts: Concepts = CONCEPTS, **settings: int) -> ZeroShotScreener:
        return ZeroShotScreener(
            Model(path=str(clip_folder), **({"batch_size": 4} | settings)), workspace, concepts
        )

    return make


@pytest.fixture
def loaded(screener: Make) -> ZeroShot:
    return screener().load_model()


def _probabilities(results: object) -> list[float]:
    return [float(np.frombuffer(row, dtype="<f4")[0]) for row in results]


def test_every_image_gets_one_probability(screener: Make, loaded: ZeroShot, images: list[str]) -> None:
    results = list(screener().run_inference(images, loaded))
    assert all(len(row) == 4 for row in results)
    assert all(0 <= p <= 1 for p in _probabilities(results))
    assert len(set(results)) == 11


def test_a_probability_does_not_depend_on_neighbours_order_or_threads(
    screener: Make, loaded: ZeroShot, images: list[str], shuffled: Callable[[int], list[int]]
) -> None:
    together = list(screener(threads=1).run_inference(images, loaded))
    alone = [row for i in images for row in screener().run_inference([i], loaded)]
    order = shuffled(len(images))
    moved = list(screener(threads=3).run_inference([images[i] for i in order], loaded))
    assert alone == together
    assert moved == [together[i] for i in order]


def test_probabilities_equal_those_of_open_clip(
    clip_folder: Path, screener: Make, loaded: ZeroShot, workspace: Workspace, images: list[str]
) -> None:
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{clip_folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{clip_folder}")([*CONCEPTS.harmful, *CONCEPTS.benign])
    pixels = torch.stack([preprocess(Image.open(workspace.blobs().path(i))) for i in images])
    with torch.inference_mode():
        logits, _ = model.eval().get_logits(pixels, tokens)
    expected = logits.softmax(dim=-1)[:, :2].sum(dim=-1)
    results = _probabilities(screener().run_inference(images, loaded))
    np.testing.assert_allclose(results, expected, atol=1e-5)


def test_swapping_the_lists_gives_the_complement(screener: Make, loaded: ZeroShot, images: list[str]) -> None:
    other = screener(Concepts(CONCEPTS.benign, CONCEPTS.harmful))
    benign = _probabilities(other.run_inference(images, other.load_model()))
    harmful = _probabilities(screener().run_inference(images, loaded))
    np.testing.assert_allclose(np.add(benign, harmful), 1, atol=1e-5)


def test_other_concepts_have_another_fingerprint(screener: Make) -> None:
    moved = Concepts(CONCEPTS.harmful[:1], (*CONCEPTS.harmful[1:], *CONCEPTS.benign))
    fewer = Concepts(CONCEPTS.harmful, CONCEPTS.benign[:2])
    assert len({screener(concepts).fingerprint() for concepts in (CONCEPTS, moved, fewer)}) == 3


def test_the_handlers_own_concepts_are_those_of_the_package(clip_folder: Path, workspace: Workspace) -> None:
    own = ZeroShotScreener(Model(path=str(clip_folder)), workspace)
    given = ZeroShotScreener(Model(path=str(clip_folder)), workspace, default_concepts())
    assert own.fingerprint() == given.fingerprint()


def test_the_concepts_of_the_package_cover_both_sides() -> None:
    concepts = default_concepts()
    assert len(concepts.harmful) >= 12
    assert len(concepts.benign) >= 20


def test_no_images_give_no_probabilities(screener: Make, loaded: ZeroShot) -> None:
    assert list(screener().run_inference([], loaded)) == []


def test_a_handler_travels_to_workers_and_finds_the_same(
    screener: Make, loaded: ZeroShot, images: list[str]
) -> None:
    moved = pickle.loads(pickle.dumps(screener()))  # noqa: S301
    assert (moved.fingerprint(), moved.name) == (screener().fingerprint(), screener().name)
    results = list(moved.run_inference(images[:3], moved.load_model()))
    assert results == list(screener().run_inference(images[:3], loaded))


def test_beams_own_run_inference_takes_the_handler(
    screener: Make, loaded: ZeroShot, images: list[str]
) -> None:
    expected = list(screener().run_inference(images, loaded))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        assert_that(pipeline | beam.Create(images) | RunInference(screener()), equal_to(expected))


def test_an_image_that_is_not_stored_fails_alone(screener: Make, images: list[str], tmp_path: Path) -> None:
    elsewhere = Workspace(str(tmp_path))
    lost, found = CachedInference(screener(), elsewhere)([("a", "0" * 64), ("b", images[0])])
    assert "0" * 64 in str(lost.cause)
    assert len(found) == 4


def test_the_size_of_a_batch_is_told_without_pickling(screener: Make, images: list[str]) -> None:
    assert screener().get_num_bytes(images) == 64 * len(images)


def test_concepts_are_read_in_their_order(tmp_path: Path) -> None:
    path = tmp_path / "concepts.toml"
    path.write_text('benign = ["a cup", "a dog"]\nharmful = ["a wound"]\n')
    assert Concepts.read(path) == Concepts(("a wound",), ("a cup", "a dog"))


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ('harmful = ["a wound"]', "`harmful` and `benign`, found"),
        ('harmful = ["a wound"]\nbenign = []', "`benign` must be a list of one or more"),
        ('harmful = "a wound"\nbenign = ["a cup"]', "`harmful` must be a list"),
        ('harmful = ["a wound"]\nbenign = ["a cup", 3]', "`benign` must be a list"),
        ('harmful = ["a wound"]\nbenign = [" "]', "`benign` must be a list"),
        ('harmful = ["a wound"]\nbenign = ["a cup", "a wound"]', r"come twice: \['a wound'\]"),
        ("harmful = [", "concepts.toml"),
        ('harmful = ["a wound"]\nbenign = ["a cup"]\nneutral = ["a stone"]', "'neutral'"),
    ],
)
def test_concepts_that_cannot_be_used_are_refused_with_the_file_and_the_reason(
    tmp_path: Path, content: str, why: str
) -> None:
    path = tmp_path / "concepts.toml"
    path.write_text(content)
    with pytest.raises(ValueError, match=why) as refused:
        Concepts.read(path)
    assert str(path) in str(refused.value)
