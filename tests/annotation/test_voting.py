"""Votes: the majority, and planted error rates that are found again."""

import hashlib

import numpy as np
import pytest

from annotation.voting import Belief, Vote, choose_method, dawid_skene, majority
from tests.planted import Person, answer

PEOPLE = [
    Person("careful", 0.96, 0.97),
    Person("alarmed", 0.95, 0.65),
    Person("careless", 0.7, 0.75),
    Person("mild", 0.65, 0.97),
    Person("good", 0.9, 0.9),
]
TRUTH = {hashlib.sha256(str(n).encode()).hexdigest(): n % 5 < 2 for n in range(600)}


def votes_of(people: list[Person], per_pair: int) -> list[Vote]:
    return [
        Vote(one.pair_id, one.annotator, one.joint_harmful)
        for one in answer(TRUTH, people, per_pair=per_pair)
    ]


def test_dawid_and_skene_find_the_planted_error_rates() -> None:
    votes = votes_of(PEOPLE, 5)
    _, errors = dawid_skene(votes, {})
    for person in PEOPLE:
        for harmful, said in ((True, "yes"), (False, "no")):
            own = [
                v.answer == said for v in votes if v.annotator == person.name and TRUTH[v.pair_id] == harmful
            ]
            assert errors[person.name][said][said] == pytest.approx(np.mean(own), abs=0.03)


def test_dawid_and_skene_are_right_more_often_than_a_careless_majority() -> None:
    people = [PEOPLE[0], Person("guess", 0.55, 0.55), Person("guess too", 0.55, 0.55)]
    votes = votes_of(people, 3)
    known = {pair: "yes" if harmful else "no" for pair, harmful in list(TRUTH.items())[:60]}

    def right(beliefs: dict[str, Belief]) -> float:
        return float(np.mean([(beliefs[pair].yes > beliefs[pair].no) == TRUTH[pair] for pair in TRUTH]))

    assert right(dawid_skene(votes, known)[0]) > right(majority(votes)) + 0.1


def test_the_order_of_the_votes_does_not_matter() -> None:
    votes = votes_of(PEOPLE, 3)
    assert dawid_skene(votes, {}) == dawid_skene(votes[::-1], {})


def test_a_known_answer_is_believed() -> None:
    votes = votes_of(PEOPLE, 3)
    pair = votes[0].pair_id
    assert dawid_skene(votes, {pair: "yes"})[0][pair].yes == 1
    assert dawid_skene(votes, {pair: "no"})[0][pair].no == 1


def test_no_votes_are_no_beliefs() -> None:
    assert dawid_skene([], {}) == ({}, {})


@pytest.mark.parametrize(
    ("answers", "expected"),
    [
        (("yes", "yes", "no"), "yes"),
        (("yes", "no"), "tie"),
        (("yes", "unsure"), "low_confidence"),
        (("unsure", "unsure", "no"), "low_confidence"),
        (("yes", "no", "no", "unsure"), "low_confidence"),
        (("no",), "no"),
    ],
)
def test_a_majority_settles_and_unsure_counts_as_an_answer(answers: tuple[str, ...], expected: str) -> None:
    votes = [Vote("p", str(n), given) for n, given in enumerate(answers)]
    assert majority(votes)["p"].answer(0.6) == expected


def test_error_rates_are_learned_only_from_enough() -> None:
    many = votes_of(PEOPLE, 3)
    assert choose_method(many) == "dawid_skene"
    assert choose_method(many[:150]) == "majority"
    assert choose_method(votes_of(PEOPLE[:2], 2)) == "majority"
