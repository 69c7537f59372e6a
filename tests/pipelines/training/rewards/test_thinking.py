from math import exp

import pytest

from generators.chat import EndpointError
from pipelines.training.rewards.thinkers import GroundedThinking, JudgedThinking
from pipelines.training.rewards.thinking import Thinking
from schemas.config import Endpoint, Language
from tests.pipelines.training.rewards.completions import BENIGN, HARM, answer, batch, right, wrong

SETTINGS = Language(endpoint=Endpoint(url="http://localhost/v1", model="judge"), temperature=0)


def marking(*marks):
    """A scorer that gives these marks in turn."""
    return lambda rows: list(marks[: len(rows)])


def scored(scorer, pairs, step=0, **parameters):
    return Thinking(scorer, **parameters).scores(batch(pairs, step=step))


@pytest.mark.parametrize(
    ("marks", "trust"),
    [((0.8, 0.4), 1), ((0.6, 0.6), 1), ((0.2, 0.7), exp(-0.5))],
)
def test_marks_are_trusted_as_far_as_right_answers_are_marked_higher(marks, trust):
    scores = scored(marking(*marks), [(right(HARM), HARM), (wrong(HARM), HARM), ("", HARM)])
    assert scores == [pytest.approx(0.3 * trust * marks[0]), pytest.approx(0.3 * trust * marks[1]), 0]


@pytest.mark.parametrize(("step", "strength"), [(0, 0.3), (500, 0.110364), (1500, 0.014936)])
def test_the_reward_is_annealed(step, strength):
    pairs = [(right(HARM), HARM), (wrong(HARM), HARM)]
    assert scored(marking(1.0, 0.0), pairs, step)[0] == pytest.approx(strength, abs=1e-6)


def test_a_group_that_cannot_tell_gets_the_trust_of_the_untold():
    pairs = [(right(HARM), HARM), (right(HARM), HARM)]
    assert scored(marking(1.0, 0.5), pairs) == [0, 0]
    assert scored(marking(1.0, 0.5), pairs, untold=0.5) == pytest.approx([0.15, 0.075])


def test_trust_is_of_one_example_and_not_of_another():
    pairs = [(right(HARM), HARM), (wrong(HARM), HARM), (right(BENIGN), BENIGN), (wrong(BENIGN), BENIGN)]
    scores = scored(marking(0.9, 0.1, 0.1, 0.9), pairs)
    assert scores == pytest.approx([0.27, 0.03, 0.03 * exp(-0.8), 0.27 * exp(-0.8)])


def test_a_row_that_the_scorer_failed_on_has_no_score_and_no_say():
    pairs = [(right(HARM), HARM), (right(HARM), HARM), (wrong(HARM), HARM)]
    assert scored(marking(1.0, None, 0.5), pairs) == pytest.approx([0.3, None, 0.15])


@pytest.mark.parametrize(
    ("think", "mark"),
    [
        ("Detergent in a jug is poured into soup, which is harmful.", 1),
        ("Detergent in a jug is poured into soup.", 2.5 / 3),
        ("Detergent in a jug is poured into soup, which is harmless.", 2 / 3),
        ("There is a jug and nothing else, it is harmful.", 1.5 / 3),
    ],
)
def test_reasoning_is_marked_by_what_it_names_and_where_it_ends(think, mark):
    rows = batch([(answer("harmful", think, "It poisons people."), HARM)]).rows
    assert GroundedThinking()(rows) == [pytest.approx(mark)]


class Chat:
    """A judge with given answers, which remembers what it was asked."""

    def __init__(self, *said):
        self.said, self.asked = said, []

    def complete_many(self, requests, settings):
        self.asked += requests
        return list(self.said)


@pytest.mark.parametrize(
    ("said", "mark"),
    [
        ("7", 0.7),
        (" 10/10. ", 1.0),
        ("6.5", 0.65),
        ("10.9", 1.0),
        ("It is a 7", None),
        ("-3", None),
        ("", None),
        (EndpointError("down"), None),
    ],
)
def test_a_judges_number_is_read_and_everything_else_is_no_mark(said, mark):
    rows = batch([(right(HARM), HARM)]).rows
    assert JudgedThinking(Chat(said), SETTINGS)(rows) == [mark]


def test_a_judge_reads_text_picture_and_reasoning():
    chat = Chat("5")
    rows = batch([(right(HARM), HARM)]).rows
    JudgedThinking(chat, SETTINGS)(rows)
    (request,) = chat.asked
    said = request.messages[0]["content"]
    assert all(part in said for part in (HARM.text, HARM.image_says[0], rows[0].answer.think))


def test_a_judge_is_not_asked_about_nothing():
    assert JudgedThinking(Chat("5"), SETTINGS)([]) == []
