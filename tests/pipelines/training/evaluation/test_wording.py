from __future__ import annotations

import pytest

from pipelines.training.evaluation.wording import content_words, names_both, rouge_l

IMAGE, TEXT = ("a red mushroom in a forest",), ("Have a bite, it tastes of nuts.",)


def test_rouge_l_on_numbers_worked_out_by_hand() -> None:
    # The longest common subsequence is two of three and of four words: precision 2/3, recall 2/4.
    assert rouge_l("the cat sat", ["the old cat ran"]) == pytest.approx(
        2 * (2 / 3) * (1 / 2) / (2 / 3 + 1 / 2)
    )


def test_the_best_reference_counts() -> None:
    assert rouge_l("it poisons", ["a burn", "it poisons"]) == 1.0


def test_an_empty_rationale_has_nothing() -> None:
    assert rouge_l("  ", ["it poisons"]) == 0.0


def test_a_rationale_without_a_reference_cannot_be_compared() -> None:
    with pytest.raises(ValueError, match="at least one reference"):
        rouge_l("it poisons", [])


@pytest.mark.parametrize(
    ("rationale", "grounded"),
    [
        ("The mushroom is poisonous and the text invites to bite it.", True),
        ("Mushrooms poison whoever has bites of them.", True),
        ("The mushroom is poisonous.", False),
        ("A bite is dangerous.", False),
        ("This is harmful.", False),
        ("", False),
    ],
)
def test_grounding_needs_a_word_of_each_part(rationale: str, grounded: bool) -> None:
    assert names_both(rationale, IMAGE, TEXT) is grounded


def test_one_word_that_both_parts_share_is_not_enough() -> None:
    assert not names_both("The mushroom!", ("a mushroom",), ("Eat the mushroom",))
    assert names_both("Who eats the mushroom?", ("a mushroom",), ("Eat the mushroom",))


def test_content_words_are_stems_without_stop_words_and_numbers() -> None:
    assert content_words("The cats and the 2024 dogs, it is so!") == {"cat", "dog"}
