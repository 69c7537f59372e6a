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

from pipelines.models.clip import DualEncoder, ImageEmbedder, TextEmbedder, load_dual_encoder
from pipelines.storage.cache import CachedInference
from pipelines.storage.workspace import Workspace
from schemas.config import Model


@pytest.fixture(scope="session")
def loaded(clip_folder: Path) -> DualEncoder:
    return load_dual_encoder(Model(path=str(clip_folder)))


@pytest.fixture(params=["image", "text"])
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def examples(kind: str, images: list[str], texts: list[str]) -> list[str]:
    return images if kind == "image" else texts


@pytest.fixture
def embedder(
    kind: str, clip_folder: Path, workspace: Workspace
) -> Callable[..., ImageEmbedder | TextEmbedder]:
    def make(**settings: int) -> ImageEmbedder | TextEmbedder:
        model = Model(path=str(clip_folder), **({"batch_size": 4} | settings))
        return ImageEmbedder(model, workspace) if kind == "image" else TextEmbedder(model)

    return make


Make = Callable[..., ImageEmbedder | TextEmbedder]


def _vectors(results: object) -> np.ndarray:
    return np.stack([np.frombuffer(row, dtype="<f4") for row in results])


def test_every_example_becomes_a_unit_vector(
    embedder: Make, loaded: DualEncoder, examples: list[str]
) -> None:
    vectors = _vectors(embedder().run_inference(examples, loaded))
    assert vectors.shape == (11, 128)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert len(np.unique(vectors, axis=0)) == 11


def test_a_vector_does_not_depend_on_neighbours_order_or_threads(
    embedder: Make, loaded: DualEncoder, examples: list[str], shuffled: Callable[[int], list[int]]
) -> None:
    together = list(embedder(threads=1).run_inference(examples, loaded))
    alone = [row for e in examples for row in embedder().run_inference([e], loaded)]
    order = shuffled(len(examples))
    moved = list(embedder(threads=3).run_inference([examples[i] for i in order], loaded))
    assert alone == together
    assert moved == [together[i] for i in order]


def test_no_examples_give_no_vectors(embedder: Make, loaded: DualEncoder) -> None:
    assert list(embedder().run_inference([], loaded)) == []


def test_a_handler_travels_to_workers_and_finds_the_same(
    embedder: Make, loaded: DualEncoder, examples: list[str]
) -> None:
    moved = pickle.loads(pickle.dumps(embedder()))  # noqa: S301
    assert moved.fingerprint() == embedder().fingerprint()
    assert list(moved.run_inference(examples[:3], moved.load_model())) == list(
        embedder().run_inference(examples[:3], loaded)
    )


def test_beams_own_run_inference_takes_the_handler(
    embedder: Make, loaded: DualEncoder, examples: list[str]
) -> None:
    expected = list(embedder().run_inference(examples, loaded))
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        assert_that(pipeline | beam.Create(examples) | RunInference(embedder()), equal_to(expected))


def test_vectors_equal_those_of_open_clip(
    clip_folder: Path, loaded: DualEncoder, workspace: Workspace, images: list[str], texts: list[str]
) -> None:
    model, _, preprocess = open_clip.create_model_and_transforms(f"local-dir:{clip_folder}")
    tokens = open_clip.get_tokenizer(f"local-dir:{clip_folder}")(texts)
    pixels = torch.stack([preprocess(Image.open(workspace.blobs().path(i))) for i in images])
    with torch.inference_mode():
        expected = [
            e.numpy() for e in (model.eval().encode_image(pixels, True), model.encode_text(tokens, True))
        ]
    config = Model(path=str(clip_folder))
    np.testing.assert_allclose(
        _vectors(ImageEmbedder(config, workspace).run_inference(images, loaded)), expected[0], atol=1e-5
    )
    np.testing.assert_allclose(
        _vectors(TextEmbedder(config).run_inference(texts, loaded)), expected[1], atol=1e-5
    )


def test_images_and_texts_are_cached_apart(clip_folder: Path, workspace: Workspace) -> None:
    model = Model(path=str(clip_folder))
    assert ImageEmbedder(model, workspace).fingerprint() != TextEmbedder(model).fingerprint()


def test_an_image_that_is_not_stored_fails_alone(
    clip_folder: Path, workspace: Workspace, images: list[str], tmp_path: Path
) -> None:
    elsewhere = Workspace(str(tmp_path))
    handler = ImageEmbedder(Model(path=str(clip_folder)), workspace)
    lost, found = CachedInference(handler, elsewhere)([("a", "0" * 64), ("b", images[0])])
    assert "0" * 64 in str(lost.cause)
    assert len(found) == 4 * 128


def test_the_size_of_a_batch_is_told_without_pickling(embedder: Make, examples: list[str], kind: str) -> None:
    expected = 64 * len(examples) if kind == "image" else sum(map(len, examples))
    assert embedder().get_num_bytes(examples) == expected
