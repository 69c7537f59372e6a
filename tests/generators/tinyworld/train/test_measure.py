import random

import numpy as np
import pytest

from generators.tinyworld.rules import combinations, harm_of
from generators.tinyworld.train.examples import ScenePool
from generators.tinyworld.train.measure import MEASURE_SEEDS, _benign_pairs, _harmful_pairs, auc


@pytest.mark.parametrize(
    ("positive", "negative", "area"),
    [([0.9, 0.8], [0.1, 0.2], 1.0), ([0.1], [0.9], 0.0), ([0.5], [0.5, 0.5], 0.5), ([0.3, 0.7], [0.5], 0.5)],
)
def test_the_area_is_the_chance_of_a_right_order(
    positive: list[float], negative: list[float], area: float
) -> None:
    assert auc(np.array(positive), np.array(negative)) == area


def test_harmful_pairs_show_the_concept_of_their_combination(pool: ScenePool) -> None:
    wanted = [c for c in combinations() if c.held_out]
    pairs = _harmful_pairs(pool, wanted, 50, random.Random(0))
    assert len(pairs) == 50
    for number, (row, text) in enumerate(pairs):
        combination = wanted[number % len(wanted)]
        assert harm_of(pool.objects(row), combination.intent) is not None
        assert combination.concept in pool.objects(row)
        assert text


def test_as_many_benign_pairs_are_made_as_asked_for(pool: ScenePool) -> None:
    assert len(_benign_pairs(pool, 80, random.Random(0))) == 80


def test_measuring_uses_seeds_that_neither_training_nor_a_build_takes() -> None:
    assert MEASURE_SEEDS >= (1 << 40) + (1 << 30)
