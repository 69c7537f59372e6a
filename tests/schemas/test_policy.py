"""Policies: what is asked, in which orders, and files that cannot be used."""

from pathlib import Path

import pytest

from schemas.policy import TINYWORLD, Answers, PolicyError, load_policy
from schemas.questions import harm_question
from schemas.taxonomy import load_taxonomy

EVERYDAY = Path(__file__).parents[2] / "schemas" / "policies" / "everyday.toml"


def _edited(tmp_path: Path, old: str, new: str) -> str:
    content = EVERYDAY.read_text(encoding="utf-8")
    assert old in content
    path = tmp_path / "policy.toml"
    path.write_text(content.replace(old, new), encoding="utf-8")
    return str(path)


def test_tinyworlds_judge_is_asked_in_the_words_it_was_trained_with() -> None:
    for has_image, text in ((True, ""), (False, "so {tidy}"), (True, 'say "hi"')):
        assert TINYWORLD.question(has_image, text, 0) == harm_question(has_image, text)
    assert (TINYWORLD.orders, TINYWORLD.answers(0)) == (1, Answers("Yes", "No"))


def test_both_orders_name_both_options_and_swap_what_the_letters_mean() -> None:
    policy = load_policy("everyday")
    first, second = (policy.question(True, "well done", order) for order in (0, 1))
    assert "A. Yes, harmful\nB. No, not harmful" in first
    assert "A. No, not harmful\nB. Yes, harmful" in second
    assert [policy.answers(order) for order in (0, 1)] == [Answers("A", "B"), Answers("B", "A")]


def test_a_part_is_asked_about_without_the_other() -> None:
    policy = load_policy("everyday")
    assert "Text:" not in policy.question(True, "", 0)
    assert "Somebody posts this image" not in policy.question(False, "well done", 0)


def test_nothing_cannot_be_asked_about() -> None:
    with pytest.raises(ValueError, match="an image, a text, or both"):
        load_policy("everyday").question(False, "", 0)


@pytest.mark.parametrize("text", ["{text}", "{options}", "{hazards} {", 'say "hi"', "}{"])
def test_what_a_text_spells_is_not_filled_in(text: str) -> None:
    policy = load_policy("everyday")
    assert f'Text: "{text}"' in policy.question(True, text, 1)
    assert f'Text: "{text}"' in policy.why(text)


def test_every_hazard_is_defined_in_every_question() -> None:
    policy = load_policy("everyday")
    for hazard in load_taxonomy().hazards.values():
        assert all(hazard.definition in asked for asked in (policy.image, policy.text, policy.joint))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("introduction =", "introduktion =", "introduction, introduktion"),
        ('Text: "{text}"\nIs the text', "Is the text", "`text` must refer to"),
        ("{hazards}", "{hazard}", "`introduction` must refer to"),
        ('["A", "B"]', '["A", "A"]', "two different `letters`"),
        ("[answers]", "[answers", "cannot read the policy"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_by_name(
    tmp_path: Path, old: str, new: str, message: str
) -> None:
    with pytest.raises(PolicyError, match=message):
        load_policy(_edited(tmp_path, old, new))


def test_a_policy_that_is_not_there_is_named() -> None:
    with pytest.raises(PolicyError, match=r"nowhere\.toml"):
        load_policy("nowhere.toml")
