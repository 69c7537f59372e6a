from collections import Counter
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.dataset import PairSummary
from annotation.queue import mix, order, queue

PAIRS = st.lists(
    st.builds(
        PairSummary,
        id=st.integers(0, 10_000).map(str),
        text=st.just("a text"),
        hazard=st.sampled_from(["", "phy", "prv"]),
        p_joint=st.floats(0, 1),
    ),
    max_size=40,
    unique_by=lambda pair: pair.id,
)


def _pair(name: str, hazard: str, p_joint: float, text: str = "a text") -> PairSummary:
    return PairSummary(name, text, hazard, p_joint)


def test_of_one_hazard_the_pair_nearest_to_the_threshold_comes_first() -> None:
    pairs = [_pair("far", "phy", 0.1), _pair("near", "phy", 0.8), _pair("above", "phy", 0.95)]

    assert [pair.id for pair in order(pairs, threshold=0.9)] == ["above", "near", "far"]


def test_hazards_take_turns_whatever_their_sizes() -> None:
    pairs = [_pair(f"a{n}", "phy", 0.9) for n in range(6)] + [_pair(f"b{n}", "prv", 0.2) for n in range(3)]

    assert [pair.hazard for pair in order(pairs, 0.9)] == ["phy", "prv"] * 3 + ["phy"] * 3


def test_a_hazard_that_annotators_have_little_of_comes_first() -> None:
    pairs = [_pair(f"a{n}", "phy", 0.9) for n in range(3)] + [_pair(f"b{n}", "prv", 0.2) for n in range(3)]

    assert [pair.hazard for pair in order(pairs, 0.9, {"phy": 2})] == [
        "prv",
        "prv",
        "phy",
        "prv",
        "phy",
        "phy",
    ]


@given(PAIRS, st.floats(0, 1))
def test_no_pair_is_lost_or_doubled_by_the_order_and_it_does_not_depend_on_the_input(
    pairs: list[PairSummary], threshold: float
) -> None:
    ordered = order(pairs, threshold)

    assert Counter(ordered) == Counter(pairs)
    assert order(pairs[::-1], threshold) == ordered


def test_gold_is_spread_evenly_at_the_share_asked_for() -> None:
    pairs, gold = [_pair(f"p{n}", "", 0) for n in range(90)], [_pair(f"g{n}", "", 0) for n in range(50)]

    mixed = mix(pairs, gold, 0.1)

    places = [place for place, pair in enumerate(mixed) if pair.id.startswith("g")]
    assert len(places) == 10
    assert {after - before for before, after in pairwise(places)} == {10}


@given(PAIRS, PAIRS, st.floats(0, 0.5))
def test_mixing_keeps_every_pair_and_the_order(
    pairs: list[PairSummary], gold: list[PairSummary], share: float
) -> None:
    gold = [pair._replace(id=f"gold {pair.id}") for pair in gold]

    mixed = mix(pairs, gold, share)

    assert [pair for pair in mixed if not pair.id.startswith("gold")] == pairs
    used = [pair for pair in mixed if pair.id.startswith("gold")]
    assert used == gold[: len(used)]


def test_every_pair_of_the_dataset_is_sent_present_or_left_out_with_a_reason() -> None:
    pairs = [_pair(f"p{n}", "phy", n / 20) for n in range(20)]
    pairs += [_pair("closed", "cse", 0.9), _pair("silent", "phy", 0.9, text=" ")]

    found = queue(pairs, 0.9, {"p1", "p2"}, gold={"p3", "p4", "p5"}, gold_share=0.1, limit=10)

    assert found.present == 2
    assert len(found.send) == 10
    assert found.left_out == {
        "beyond the limit": 7,
        "gold, beyond its share": 1,
        "it has no text": 1,
        "its hazard is closed": 1,
    }


def test_the_second_round_has_only_what_the_first_left_open() -> None:
    pairs = [_pair(f"p{n}", "phy", 0.5) for n in range(4)]

    found = queue(pairs, 0.9, (), gold={"p1"}, gold_share=0.1, only={"p1", "p2"})

    assert {pair.id for pair in found.send} == {"p1", "p2"}
    assert found.left_out == {"not left open by the first round": 2}


@pytest.mark.parametrize("share", [0.0, 0.3])
def test_without_known_answers_nothing_is_mixed_in(share: float) -> None:
    pairs = [_pair(f"p{n}", "", 0) for n in range(5)]

    assert mix(pairs, [], share) == pairs
