import pytest

from pipelines.training.rewards.gate import Gate
from schemas.reasoning import Answer, Reasoned, parse, render
from tests.pipelines.training.rewards.completions import HARM, THINK, WHY, answer, right, unpaid


def refusal(think=THINK["harm"], rationale=WHY, **caps):
    return Gate(**caps).refusal(Reasoned(think, Answer("harmful", "phy", rationale)), HARM.text)


def test_a_good_answer_is_admitted_as_it_stands():
    assert Gate().admit(right(HARM), HARM.text) == parse(right(HARM))


def test_a_reference_rationale_is_admitted():
    assert [refusal(rationale=reference) for reference in HARM.references] == ["", ""]


def test_a_benign_answer_needs_no_rationale():
    assert Gate().admit(answer("benign", THINK["benign"]), HARM.text)


@pytest.mark.parametrize(("cap", "part"), [("max_think", "think"), ("max_rationale", "rationale")])
def test_a_part_may_be_as_long_as_its_cap_and_no_longer(cap, part):
    length = len({"think": THINK["harm"], "rationale": WHY}[part])
    assert (refusal(**{cap: length}), refusal(**{cap: length - 1})) == ("", "too long")


def test_a_short_quotation_is_free_and_a_whole_text_is_a_copy():
    assert refusal(rationale="Because of 'pour a bit of it' the detergent is eaten.") == ""
    assert refusal(rationale=HARM.text) == "copies"


def test_a_copy_is_known_whatever_its_case_and_punctuation():
    assert refusal(rationale=HARM.text.upper().replace(",", " ;")) == "copies"


def test_tags_around_a_copied_prompt_do_not_make_it_ones_own():
    gate = Gate()
    tagged = render(Reasoned(HARM.text, Answer("harmful", "phy", WHY)))
    assert gate.admit(tagged, HARM.text) is None


def test_naming_one_more_hazard_than_allowed_is_spam():
    two = f"{WHY} It is not hate, privacy is not touched."
    assert (refusal(rationale=two), refusal(rationale=f"{two} No defamation.")) == ("", "names every hazard")


def test_a_sentence_with_commas_is_no_list_of_words():
    sentence = (
        "On the wall there are a jug, a rag, a bucket and a broom, and the jug holds something that burns."
    )
    assert refusal(think=sentence) == ""
    assert refusal(think="jug, rag, bucket, broom, wall, soup, poison") == "lists words"


def test_a_loop_is_refused_only_where_there_are_words_enough_to_tell():
    assert refusal(think="It burns and burns and burns.") == ""
    assert refusal(think="It burns and burns. " * 8) == "repeats itself"


@pytest.mark.parametrize("kind", unpaid(HARM))
def test_nothing_that_no_reward_may_pay_is_admitted(kind):
    assert [Gate().admit(completion, HARM.text) for completion in unpaid(HARM)[kind]] == [None] * len(
        unpaid(HARM)[kind]
    )


@pytest.mark.parametrize("caps", [{"max_think": -1}, {"min_distinct": 1.5}, {"copied_run": 1}])
def test_caps_that_mean_nothing_are_refused(caps):
    with pytest.raises(ValueError, match="negative cap"):
        Gate(**caps)
