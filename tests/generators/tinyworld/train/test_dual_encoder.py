import math
import random

import pytest
import torch
from transformers import PreTrainedTokenizerFast

from generators.tinyworld.train.dual_encoder import DualEncoderTraining, multi_positive_loss, normalise
from generators.tinyworld.train.examples import ScenePool
from generators.tinyworld.world import load_world


@pytest.fixture(scope="module")
def training(pool: ScenePool, tokenizer: PreTrainedTokenizerFast) -> DualEncoderTraining:
    torch.manual_seed(0)
    return DualEncoderTraining(pool, tokenizer, torch.device("cpu"))


def test_with_one_positive_each_the_loss_is_the_usual_contrastive_one() -> None:
    logits = torch.tensor([[2.0, 0.0], [0.0, 2.0]])
    expected = math.log(1 + math.exp(-2))
    assert multi_positive_loss(logits, torch.eye(2, dtype=torch.bool)).item() == pytest.approx(expected)


def test_several_positives_share_the_target() -> None:
    logits = torch.log(torch.tensor([[1.0, 2.0, 5.0]]))
    positive = torch.tensor([[True, True, False]])
    rows = -(math.log(1 / 8) + math.log(2 / 8)) / 2
    columns = 0.0
    assert multi_positive_loss(logits, positive).item() == pytest.approx((rows + columns) / 2)


def test_a_row_without_a_positive_counts_only_as_a_negative() -> None:
    logits = torch.log(torch.tensor([[3.0], [1.0]]))
    positive = torch.tensor([[True], [False]])
    assert multi_positive_loss(logits, positive).item() == pytest.approx((0 + math.log(4 / 3)) / 2)


def test_pixels_become_the_floats_of_the_preprocessing() -> None:
    black, white = (normalise(torch.full((1, 3, 64, 64), v, dtype=torch.uint8)) for v in (0, 255))
    assert black[0, 0, 0, 0].item() == pytest.approx(-0.48145466 / 0.26862954)
    assert white[0, 2, 5, 5].item() == pytest.approx((1 - 0.40821073) / 0.27577711)


def test_texts_become_unit_vectors_whatever_the_padding(training: DualEncoderTraining) -> None:
    training.model.eval()
    short, long = (
        "a cat",
        "a picture of a cat and a kettle and a road and a church in a kitchen with a window",
    )
    with torch.inference_mode():
        alone, beside = training.encode([short]), training.encode([short, long])
    torch.testing.assert_close(beside.norm(dim=1), torch.ones(2))
    torch.testing.assert_close(alone[0], beside[0], atol=1e-5, rtol=0)


def test_what_a_query_needs_is_true_of_its_scene(training: DualEncoderTraining) -> None:
    rng = random.Random(0)
    for row in range(200):
        text, needed = training._describe(row, rng)
        assert text
        assert needed <= set(training._facts(row))


def test_the_patch_head_knows_every_concept(training: DualEncoderTraining) -> None:
    assert training.patch_head.out_features == 1 + len(load_world().concepts)


def test_a_step_moves_every_trainable_parameter(training: DualEncoderTraining) -> None:
    training.model.train()
    training.loss(0).backward()
    still = [name for name, p in training.model.named_parameters() if p.grad is None or not p.grad.any()]
    assert not still
