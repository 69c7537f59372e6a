import pytest

from pipelines.training.rewards.consistency import Likelihood, Reanswer
from pipelines.training.rewards.entropy import DecisionEntropy, entropy
from tests.pipelines.training.rewards.completions import BENIGN, HARM, WHY, answer, batch, right, wrong


def saying(probabilities):
    """A model that finds harm as likely as is told for the first word of the reasoning."""
    return lambda asked: [probabilities[one.think.split()[0]] for one in asked]


def thoughts(*names, verdict="harmful"):
    return [
        (answer(verdict, f"{name} goes my thought about the jug.", WHY if verdict == "harmful" else ""), HARM)
        for name in names
    ]


def test_right_answers_at_least_as_likely_as_the_mean_of_the_right_ones_get_the_bonus():
    model = saying({"One": 0.9, "Two": 0.5, "Three": 0.72, "Four": 0.0})
    pairs = [*thoughts("One", "Two", "Three"), *thoughts("Four", verdict="benign"), ("", HARM)]
    assert Likelihood(model).scores(batch(pairs)) == [0.5, 0, 0.5, 0, 0]


def test_likelihoods_above_the_cap_are_alike():
    model = saying({"One": 1.0, "Two": 0.95})
    assert Likelihood(model, margin=0.0).scores(batch(thoughts("One", "Two"))) == [0.5, 0.5]


def test_the_margin_lets_the_nearly_likely_through():
    pairs = batch(thoughts("One", "Two"))
    model = saying({"One": 0.9, "Two": 0.8})
    assert Likelihood(model, margin=0.0).scores(pairs) == [0.5, 0]
    assert Likelihood(model, margin=0.06).scores(pairs) == [0.5, 0.5]


def test_the_likelihood_of_a_benign_verdict_is_what_harm_leaves():
    pairs = [(right(BENIGN), BENIGN), (answer("benign", "One goes my thought."), BENIGN)]
    logged = {}
    Likelihood(saying({"The": 0.2, "One": 0.6})).scores(batch(pairs, log=logged.__setitem__))
    assert logged == {"consistency/likelihood": pytest.approx(0.6)}


def test_groups_are_compared_within_themselves():
    model = saying({"One": 0.9, "The": 0.9})
    pairs = [*thoughts("One"), (right(BENIGN), BENIGN)]
    assert Likelihood(model).scores(batch(pairs)) == [0.5, 0.5]


def test_full_reward_needs_the_same_verdict_again_with_the_options_in_the_other_order():
    asked_for = []

    def model(asked):
        asked_for.extend(one.reordered for one in asked)
        return saying({"One": 0.7, "Two": 0.4})(asked)

    pairs = [*thoughts("One", "Two"), (wrong(HARM), HARM), ("", HARM)]
    assert Reanswer(model, changed=0.25).scores(batch(pairs)) == [1, 0.25, 0, 0]
    assert asked_for == [True, True]


def test_a_reward_for_changing_beyond_the_full_one_is_refused():
    with pytest.raises(ValueError, match="`changed` is 2"):
        Reanswer(saying({}), changed=2)


@pytest.mark.parametrize(("probability", "bits"), [(0, 0), (0.5, 1), (1, 0), (0.25, 0.811278)])
def test_entropy_is_in_bits(probability, bits):
    assert entropy(probability) == pytest.approx(bits, abs=1e-6)


@pytest.mark.parametrize(
    ("harm", "verdict", "score"),
    [
        (1.0, "harmful", 1),
        (0.5, "harmful", 0),
        (0.95, "harmful", (0.60 - 0.286397) / 0.45),
        (1.0, "benign", 0),
        (0.5, "benign", 1),
        (0.05, "benign", (0.286397 - 0.15) / 0.70),
    ],
)
def test_being_sure_pays_where_right_and_being_unsure_where_wrong(harm, verdict, score):
    read = batch(thoughts("One", verdict=verdict))
    assert DecisionEntropy(saying({"One": harm})).scores(read) == [pytest.approx(score, abs=1e-5)]


def test_entropies_in_the_wrong_order_are_refused():
    with pytest.raises(ValueError, match="sure < right_unsure"):
        DecisionEntropy(saying({}), sure=0.7)
