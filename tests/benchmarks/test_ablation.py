"""The ablation's variants; their runs take hours."""

from __future__ import annotations

import pytest

from pipelines.profiles import PROFILES
from pipelines.training.configuration import TrainConfig
from pipelines.training.mechanisms.settings import Mechanisms
from schemas.profile import read_profile
from tests.benchmarks.ablation import Variant, variants

PROFILE = PROFILES / "training" / "cpu.toml"
AS_IT_IS = read_profile(TrainConfig, PROFILE, [])


@pytest.mark.parametrize("variant", list(variants(PROFILE)), ids=lambda variant: variant.folder)
def test_every_variant_differs_from_the_profile_by_what_its_name_says(variant: Variant) -> None:
    config = read_profile(TrainConfig, PROFILE, list(variant.settings))
    how, _, what = variant.name.partition(" ")
    changed = {
        name
        for name in (*AS_IT_IS.rewards.weights, *Mechanisms.model_fields)
        if config.rewards.weights.get(name) != AS_IT_IS.rewards.weights.get(name)
        or getattr(config.mechanisms, name, None) != getattr(AS_IT_IS.mechanisms, name, None)
    }
    assert changed == ({what} if how != "as" else set())


def test_every_reward_and_every_mechanism_has_a_variant() -> None:
    names = {variant.name.partition(" ")[2] for variant in variants(PROFILE)}
    assert names == {"it is", *AS_IT_IS.rewards.weights, *Mechanisms.model_fields}
