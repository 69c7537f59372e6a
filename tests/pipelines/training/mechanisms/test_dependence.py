"""Weights by dependence on the image: their formulas, and runs in which they are on."""

import pytest
import torch

from pipelines.training.mechanisms.dependence import dependent_tokens, trajectory_weights
from pipelines.training.mechanisms.settings import Dependence, Mechanisms
from tests.checkpoints import qwen_vl
from tests.pipelines.training.mechanisms.runs import fresh, logged, ranked, trained, trainer, weights

ON = Mechanisms(dependence=Dependence())


def test_the_most_dependent_tokens_of_each_completion_are_kept():
    dependence = torch.tensor([[0.1, 0.5, 0.2, 0.4, 0.3], [0.9, 0.1, 0.8, 9.0, 9.0]])
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 1, 0, 0]])
    # 0.4 of 5 tokens are 2; 0.4 of 3 are 1.2, which is rounded up.
    assert dependent_tokens(dependence, mask, 0.4).tolist() == [[0, 1, 0, 1, 0], [1, 0, 1, 0, 0]]


def test_of_equally_dependent_tokens_the_earlier_are_kept():
    assert dependent_tokens(torch.zeros(1, 4), torch.ones(1, 4), 0.5).tolist() == [[1, 1, 0, 0]]


def test_a_completion_without_tokens_keeps_none():
    assert dependent_tokens(torch.ones(1, 3), torch.zeros(1, 3), 0.4).tolist() == [[0, 0, 0]]


def test_trajectory_weights_grow_with_dependence_around_one():
    # Scaled to 0, 1/4 and 1, whose mean is 5/12: 0.9 + 0.1 * s * 12/5.
    dependence = torch.tensor([0.2, 0.3, 0.6])
    assert trajectory_weights(dependence, dependence, 0.9).tolist() == pytest.approx([0.9, 0.96, 1.14])


def test_trajectories_that_do_not_count_do_not_move_the_others():
    dependence = torch.tensor([0.2, 0.3, 0.6])
    batch = torch.tensor([0.2, torch.nan, 0.3, 0.6])
    assert trajectory_weights(dependence, batch, 0.9).mean().item() == pytest.approx(1)


def test_trajectories_that_depend_alike_weigh_alike():
    assert trajectory_weights(torch.full((3,), 0.4), torch.full((3,), 0.4), 0.9).tolist() == [1, 1, 1]


def test_a_run_keeps_the_asked_share_of_the_tokens(tmp_path):
    run = trained(tmp_path, ON, max_completion_length=5, generation_kwargs={"min_new_tokens": 5})
    assert logged(run, "dependence/tokens_kept") == pytest.approx([0.4] * 3)
    assert min(logged(run, "dependence/mean")) > 0


def test_tokens_that_are_not_kept_have_no_advantage(tmp_path):
    batch = fresh(trainer(tmp_path, ON, rewards=ranked))
    kept = (batch["advantages"] != 0).sum(1)
    assert batch["advantages"].shape == batch["completion_mask"].shape
    assert kept.tolist() == (batch["completion_mask"].sum(1) * 0.4).ceil().tolist()


def test_the_weights_change_what_is_learned(plain, tmp_path):
    assert not torch.equal(weights(plain), weights(trained(tmp_path, ON)))


def test_all_tokens_and_equal_trajectories_are_plain_training(plain, tmp_path):
    all_alike = Mechanisms(dependence=Dependence(tokens=1.0, floor=1.0))
    assert torch.equal(weights(plain), weights(trained(tmp_path, all_alike)))


def test_batches_that_are_used_again_keep_their_weights(tmp_path):
    options = {"num_iterations": 2, "gradient_accumulation_steps": 2, "per_device_train_batch_size": 2}
    assert len(logged(trained(tmp_path, ON, **options), "loss")) == 3


def test_images_laid_out_as_patches_are_seen_too(tmp_path):
    run = trained(tmp_path / "run", ON, model=qwen_vl(tmp_path / "model"), temperature=1.0)
    assert min(logged(run, "dependence/mean")) > 0
