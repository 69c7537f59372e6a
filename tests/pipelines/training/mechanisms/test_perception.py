"""The implicit perception loss: its formula, and runs in which it is on."""

import math

import pytest
import torch

from pipelines.training.mechanisms.perception import perception_terms
from pipelines.training.mechanisms.settings import Mechanisms, Perception
from pipelines.training.mechanisms.views import Scored
from tests.checkpoints import qwen_vl
from tests.pipelines.training.mechanisms.runs import logged, trained, weights

SETTINGS = Perception(gamma=0.02, entropy=0.03, masked_entropy=0.05)
ON = Mechanisms(perception=SETTINGS)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return trained(tmp_path_factory.mktemp("run"), ON)


def test_the_terms_are_those_of_the_formula():
    # The first token is half as likely without the image (log 2 - 1/2), the second as likely, the third is padding.
    seen = Scored(torch.tensor([[0.4, 0.5, 0.9]]).log(), torch.tensor([[1.0, 3.0, 100.0]]))
    masked = Scored(torch.tensor([[0.2, 0.5, 0.1]]).log(), torch.tensor([[2.0, 6.0, 100.0]]))
    terms = perception_terms(seen, masked, torch.tensor([[1, 1, 0]]), SETTINGS)
    divergence = (math.log(2) - 0.5) / 2
    assert terms.divergence.item() == pytest.approx(divergence)
    assert terms.loss.item() == pytest.approx(0.03 * 2 + 0.05 * 4 - 0.02 * divergence)


def test_its_gradient_makes_the_masked_view_less_likely():
    masked = torch.tensor([[-1.5]], requires_grad=True)
    entropies = torch.zeros(1, 1)
    seen = Scored(torch.tensor([[-1.0]]), entropies)
    perception_terms(seen, Scored(masked, entropies), torch.ones(1, 1), SETTINGS).loss.backward()
    assert masked.grad is not None and masked.grad.item() > 0


def test_a_completion_without_tokens_adds_nothing():
    nothing = Scored(torch.zeros(1, 2), torch.ones(1, 2))
    assert perception_terms(nothing, nothing, torch.zeros(1, 2), SETTINGS).loss.item() == 0


def test_a_run_adds_the_terms_to_the_loss_of_the_policy(plain, run):
    assert logged(run, "loss")[0] - logged(plain, "loss")[0] == pytest.approx(
        logged(run, "perception/loss")[0]
    )
    assert logged(run, "perception/entropy") == logged(run, "entropy")
    assert min(logged(run, "perception/divergence")) > 0


def test_the_loss_changes_what_is_learned(plain, run):
    assert not torch.equal(weights(plain), weights(run))


def test_a_run_is_repeatable(run, tmp_path):
    assert torch.equal(weights(run), weights(trained(tmp_path, ON)))


def test_accumulated_batches_weigh_the_terms_once(tmp_path):
    options = {"gradient_accumulation_steps": 2, "max_steps": 1, "per_device_train_batch_size": 2}
    plain, run = trained(tmp_path, Mechanisms(), **options), trained(tmp_path, ON, **options)
    difference = logged(run, "loss")[0] - logged(plain, "loss")[0]
    assert difference == pytest.approx(logged(run, "perception/loss")[0], rel=1e-4)


def test_images_laid_out_as_patches_are_seen_too(tmp_path):
    run = trained(tmp_path / "run", ON, model=qwen_vl(tmp_path / "model"), temperature=1.0)
    assert min(logged(run, "perception/divergence")) > 0
