"""The exploration bonus: its formula, and runs in which it is on."""

import pytest
import torch

from pipelines.training.mechanisms.settings import Mechanisms, Uncertainty
from pipelines.training.mechanisms.uncertainty import annealed, exploration_bonus
from tests.pipelines.training.mechanisms.runs import logged, trained, weights

ON = Mechanisms(uncertainty=Uncertainty(weight=5.0))


def test_the_weight_falls_to_nothing():
    assert [annealed(0.2, step, 4) for step in (0, 1, 4, 5)] == pytest.approx([0.2, 0.15, 0, 0])


def test_the_bonus_is_what_a_completion_has_over_those_of_its_prompt():
    # Means 0.2 and 1.0; the 9 counts 2.
    bonus = exploration_bonus(torch.tensor([0.1, 0.3, 0.0, 9.0]), 2, 0.5, 2.0)
    assert bonus.tolist() == pytest.approx([-0.05, 0.05, -0.5, 0.5])


def test_completions_that_are_alike_have_no_bonus():
    assert exploration_bonus(torch.full((4,), 0.7), 4, 0.5, 2.0).tolist() == [0, 0, 0, 0]


def test_a_run_gives_the_bonus_and_anneals_it(tmp_path):
    run = trained(tmp_path, ON)
    assert logged(run, "uncertainty/weight") == pytest.approx([5, 10 / 3, 5 / 3])
    assert min(logged(run, "uncertainty/mean")) > 0
    assert logged(run, "uncertainty/greatest_bonus")[0] > 0


def test_the_bonus_teaches_where_rewards_are_equal(tmp_path):
    def equal(completions, **_):
        return [1.0] * len(completions)

    without, run = (trained(tmp_path, one, rewards=equal, max_steps=1) for one in (Mechanisms(), ON))
    assert logged(without, "grad_norm") == [0]
    assert min(logged(run, "grad_norm")) > 0


def test_a_bonus_of_no_weight_is_plain_training(plain, tmp_path):
    off = Mechanisms(uncertainty=Uncertainty(weight=0.0))
    assert torch.equal(weights(plain), weights(trained(tmp_path, off)))
