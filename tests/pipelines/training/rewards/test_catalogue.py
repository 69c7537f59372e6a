"""Every reward on a right, a wrong, an empty, a label-spamming, a prompt-copying and an over-long completion."""

from __future__ import annotations

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.training.rewards.catalogue import CATALOGUE, make_reward
from schemas.taxonomy import load_taxonomy
from tests.pipelines.training.rewards.completions import (
    EXAMPLES,
    RESOURCES,
    answer,
    batch,
    right,
    unpaid,
    wrong,
)

KINDS = ("empty", "label-spamming", "prompt-copying", "over-long")
BLIND_TO_ERRORS = {"harm": {"format", "length"}, "benign": {"format", "length", "cost"}}
"""Rewards that by design do not tell a right verdict from a wrong one; a false alarm costs nothing by default."""
SILENT_ON_BENIGN = {"hazard", "rationale", "grounding", "hybrid"}
"""Rewards that a benign example gives nothing to go by."""


def scores_of(name, example, completions):
    """The scores of completions about one example, its contrast partner being in the batch and right."""
    (partner,) = (other for other in EXAMPLES.values() if other is not example)
    rows = [(completion, example) for completion in completions]
    scores = make_reward(name, RESOURCES).scores(batch([*rows, (right(partner), partner)]))
    return scores[:-1]


@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
@pytest.mark.parametrize("name", CATALOGUE)
def test_a_right_answer_earns_more_than_a_wrong_one_and_that_no_less_than_an_empty_one(name, example):
    good, bad, empty = scores_of(name, example, [right(example), wrong(example), ""])
    if example.verdict == "benign" and name in SILENT_ON_BENIGN:
        assert (good, bad, empty) == (None, None, None)
        return
    assert empty <= bad <= good
    assert empty < good
    assert (bad < good) is (name not in BLIND_TO_ERRORS[example.id])


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("example", EXAMPLES.values(), ids=EXAMPLES)
@pytest.mark.parametrize("name", CATALOGUE)
def test_what_is_no_honest_answer_is_paid_as_little_as_silence(name, example, kind):
    tried = unpaid(example)[kind]
    group = [right(example), wrong(example), "", *tried]
    empty, *scores = scores_of(name, example, group)[2:]
    assert scores == [empty] * len(tried)
    if empty is not None:
        assert empty <= 0 or empty == make_reward(name, RESOURCES).bounds[0]


def completions():
    """Any text, and any answer of the form."""
    texts = st.text(max_size=80)
    hazards = st.sampled_from(sorted(load_taxonomy().hazards))
    verdicts = st.sampled_from(["harmful", "benign"])
    return texts | st.builds(answer, verdicts, texts, texts, hazards)


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(completions(), st.sampled_from(list(EXAMPLES.values()))), max_size=5))
def test_scores_are_finite_and_within_the_bounds_whatever_is_written(pairs):
    read = batch(pairs)
    for name in CATALOGUE:
        reward = make_reward(name, RESOURCES)
        low, high = reward.bounds
        scores = reward.scores(read)
        assert len(scores) == len(pairs)
        assert all(s is None or (math.isfinite(s) and low - 1e-9 <= s <= high + 1e-9) for s in scores)


@settings(max_examples=40, deadline=None)
@given(st.lists(completions(), min_size=2, max_size=4))
def test_whether_there_is_a_score_depends_on_the_example_alone(written):
    for example in EXAMPLES.values():
        read = batch([(completion, example) for completion in written])
        for name in CATALOGUE:
            assert len({score is None for score in make_reward(name, RESOURCES).scores(read)}) == 1


def test_every_reward_says_what_it_means():
    assert all(entry.meaning for entry in CATALOGUE.values())


def test_parameters_replace_the_published_ones():
    assert make_reward("consistency", RESOURCES, bonus=0.2).bounds == (0.0, 0.2)


def test_a_combination_takes_its_parts_by_name():
    reward = make_reward("combination", RESOURCES, references={"verdict": 0.5, "format": 0.0})
    assert len(reward.parts) == 2


@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("vigour", {}, "unknown reward 'vigour'; known: format, verdict"),
        ("verdict", {"speed": 1}, "'verdict' does not take these parameters"),
        ("consistency", {"reference": None}, "does not take these parameters"),
    ],
)
def test_a_reward_that_cannot_be_made_is_refused_with_the_reason(name, parameters, message):
    with pytest.raises(ValueError, match=message):
        make_reward(name, RESOURCES, **parameters)


def test_a_reward_without_its_model_is_refused_with_the_models_name():
    resources = type(RESOURCES)()
    with pytest.raises(ValueError, match="'rationale' needs embedder"):
        make_reward("rationale", resources)
