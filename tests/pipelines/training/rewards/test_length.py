import pytest

from pipelines.training.rewards.length import LengthPenalty
from pipelines.training.rewards.safety import LengthAwareSafety
from tests.pipelines.training.rewards.completions import HARM, WHY, answer, batch

SENTENCE = "The jug on the shelf holds detergent that should not be eaten. "


def thought(length, verdict):
    """An answer whose reasoning has so many characters."""
    varied = SENTENCE + " ".join(f"shelf{at} holds jar{at}" for at in range(length))
    think = varied[: length - 1] + "."
    return answer(verdict, think, WHY if verdict == "harmful" else "")


@pytest.mark.parametrize(
    ("length", "beta", "score"),
    [(50, 1.0, -16.0), (250, 1.0, -16.0), (500, 1.0, -4.0), (1000, 1.0, -1.0), (1000, 0.5, -4.0)],
)
def test_a_wrong_answer_costs_less_the_longer_it_reasoned_between_floor_and_beta(length, beta, score):
    reward = LengthAwareSafety(beta=beta, floor=0.25, longest=1000)
    assert reward.scores(batch([(thought(length, "benign"), HARM)])) == [pytest.approx(score)]


def test_a_right_answer_costs_nothing_and_no_answer_as_much_as_the_shortest_wrong_one():
    reward = LengthAwareSafety(longest=1000)
    assert reward.scores(batch([(thought(300, "harmful"), HARM), ("", HARM)])) == [0, -16]


@pytest.mark.parametrize("parameters", [{"floor": 0}, {"beta": 1 / 6}, {"longest": 0}])
def test_lengths_that_mean_nothing_are_refused(parameters):
    with pytest.raises(ValueError, match="0 < floor <= beta <= 1"):
        LengthAwareSafety(**parameters)


@pytest.mark.parametrize(
    ("length", "score"), [(50, -0.5), (100, 0), (600, 0), (700, -0.25), (1000, -1), (1200, -1)]
)
def test_the_penalty_is_linear_outside_of_the_window(length, score):
    reward = LengthPenalty(least=100, most=600, longest=1000)
    assert reward.scores(batch([(thought(length, "harmful"), HARM)])) == [pytest.approx(score)]


def test_a_window_that_is_none_is_refused():
    with pytest.raises(ValueError, match="least <= most"):
        LengthPenalty(least=700)
