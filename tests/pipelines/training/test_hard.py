from pathlib import Path

import pytest

from pipelines.training.configuration import Hard
from pipelines.training.examples import load_examples
from pipelines.training.hard import kept_rows, wrong_counts
from pipelines.training.policy import load_policy

SETTINGS = Hard(samples=4)


def test_a_pair_is_hard_if_some_answers_are_wrong_and_not_all() -> None:
    assert kept_rows([0, 1, 3, 4], ["", "", "", ""], SETTINGS) == [1, 2]


def test_pairs_that_are_always_wrong_stay_if_asked_for() -> None:
    always = SETTINGS.model_copy(update={"always_wrong": True})
    assert kept_rows([0, 4], ["", ""], always) == [1]


def test_partners_of_a_hard_pair_stay_with_it() -> None:
    assert kept_rows([0, 2, 0, 0], ["a", "a", "b", ""], SETTINGS) == [0, 1]


@pytest.mark.parametrize("least", [1, 3])
def test_fewer_wrong_answers_than_asked_for_are_no_difficulty(least: int) -> None:
    settings = SETTINGS.model_copy(update={"least_wrong": least})
    assert kept_rows([2], [""], settings) == ([0] if least < 3 else [])


def test_a_model_that_knows_no_form_is_always_wrong(small_dataset: Path) -> None:
    examples = load_examples(small_dataset, "validation").select(range(5))
    settings = Hard(samples=2, max_completion=4, batch_size=3)
    policy = load_policy("builtin:tinyworld/judge", "float32")
    assert wrong_counts(examples, policy, settings, lambda items, what, total: items) == [2] * 5
