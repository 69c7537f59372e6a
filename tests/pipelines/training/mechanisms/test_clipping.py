"""The clip range over a run."""

import pytest

from pipelines.training.mechanisms.clipping import clip_range
from pipelines.training.mechanisms.settings import Clipping, Mechanisms
from tests.pipelines.training.mechanisms.runs import logged, trained, trainer

ON = Mechanisms(clipping=Clipping(schedule="product"))


def test_the_linear_range_falls_evenly():
    assert [clip_range(0.2, step, 4, "linear") for step in range(5)] == pytest.approx(
        [0.2, 0.15, 0.1, 0.05, 0]
    )


def test_the_product_range_falls_by_a_greater_share_each_step():
    # 0.2, then times 3/4, 2/4, 1/4 and 0/4.
    found = [clip_range(0.2, step, 4, "product") for step in range(5)]
    assert found == pytest.approx([0.2, 0.15, 0.075, 0.01875, 0])


def test_a_step_outside_the_run_is_refused():
    with pytest.raises(ValueError, match="step 5 is not one of the 4 steps"):
        clip_range(0.2, 5, 4, "linear")


def test_an_unknown_schedule_is_refused():
    with pytest.raises(ValueError, match="no schedule 'cosine'"):
        clip_range(0.2, 1, 4, "cosine")


def test_a_loss_without_a_clip_range_is_refused(tmp_path):
    with pytest.raises(ValueError, match="'cispo' has no clip range"):
        trainer(tmp_path, ON, loss_type="cispo")


def test_a_run_clips_by_the_schedule_and_so_does_a_resumed_one(tmp_path):
    steps = {"max_steps": 4, "epsilon_high": 0.28}
    whole = trained(tmp_path, ON, save_strategy="steps", save_steps=2, **steps)
    assert logged(whole, "clipping/epsilon_high") == pytest.approx([0.28, 0.21, 0.105, 0.02625])
    assert whole.epsilon_low == pytest.approx(0.01875)

    resumed = trainer(tmp_path, ON, **steps)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-2"))
    assert logged(resumed, "clipping/epsilon_high") == logged(whole, "clipping/epsilon_high")
    assert resumed.epsilon_low == pytest.approx(0.01875)


def test_the_smaller_range_changes_the_loss_once_the_policy_has_moved(tmp_path):
    # Several updates on the same completions at a high rate, so that the ratio leaves 1.
    again = {"num_iterations": 3, "learning_rate": 1e-2}
    free, tight = trained(tmp_path, Mechanisms(), **again), trained(tmp_path, ON, **again)
    assert logged(free, "loss")[0] == logged(tight, "loss")[0]
    assert logged(free, "loss")[1] != logged(tight, "loss")[1]
