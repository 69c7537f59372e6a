"""The trainer's class for a set of mechanisms."""

import itertools

import pytest
import torch
from datasets import Dataset
from trl import GRPOTrainer

from pipelines.training.mechanisms.settings import (
    Clipping,
    Counterfactuals,
    Dependence,
    Mechanisms,
    Perception,
    Uncertainty,
)
from pipelines.training.mechanisms.trainer import CLASSES, trainer_class
from tests.pipelines.training.mechanisms.runs import TEXTS, fresh, logged, ranked, trained, trainer, weights

ALL = {
    "clipping": Clipping(),
    "perception": Perception(),
    "dependence": Dependence(),
    "uncertainty": Uncertainty(weight=5.0),
}


def test_nothing_on_is_plain_grpo():
    assert trainer_class(Mechanisms()) is GRPOTrainer
    assert trainer_class(Mechanisms(counterfactuals=Counterfactuals())) is GRPOTrainer


@pytest.mark.parametrize("count", range(1, 5))
def test_any_set_of_mechanisms_makes_a_class(count):
    for names in itertools.combinations(ALL, count):
        made = trainer_class(Mechanisms(**{name: ALL[name] for name in names}))
        assert {name for name, kind in CLASSES.items() if issubclass(made, kind)} == set(names)


def test_settings_of_one_class_are_not_those_of_another():
    first = trainer_class(Mechanisms(perception=Perception(gamma=0.5)))
    second = trainer_class(Mechanisms(perception=Perception()))
    assert first.perception_settings.gamma == 0.5
    assert second.perception_settings.gamma == 0.01


def test_all_mechanisms_train_together(tmp_path):
    before = weights(trainer(tmp_path, Mechanisms()))
    run = trained(tmp_path, Mechanisms(**ALL))
    named = ("clipping/epsilon_high", "perception/loss", "dependence/mean", "uncertainty/mean")
    assert all(len(logged(run, name)) == 3 for name in named)
    assert not torch.equal(before, weights(run))


def test_the_bonus_comes_before_the_weights_of_the_tokens(tmp_path):
    batch = fresh(trainer(tmp_path, Mechanisms(**ALL), rewards=ranked))
    kept = (batch["advantages"] != 0).sum(1)
    assert kept.tolist() == (batch["completion_mask"].sum(1) * 0.4).ceil().tolist()


def test_batches_without_images_are_left_as_they_are(tmp_path):
    prompts = [[{"role": "user", "content": [{"type": "text", "text": text}]}] for text in TEXTS * 4]
    words = Dataset.from_dict({"prompt": prompts})
    watching = Mechanisms(**{name: settings for name, settings in ALL.items() if name != "clipping"})
    without, run = (
        trained(tmp_path, one, examples=words, rewards=ranked, max_steps=1)
        for one in (Mechanisms(), watching)
    )
    assert torch.equal(weights(without), weights(run))
