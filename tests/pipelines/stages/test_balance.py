from collections import Counter
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages.balance import Row, _parted, balance, circulate, cycles

PARTS = st.integers(0, 5)
ROWS = st.sets(st.tuples(PARTS.map("i{}".format), PARTS.map("t{}".format)), max_size=30)


def uses(rows: Any, part: int) -> Counter[str]:
    return Counter(row[part] for row in rows)


def complete(size: int) -> tuple[list[Row], dict[Row, float]]:
    """Emergent pairs without a part in common, and all the other rows of their parts."""
    pairs = [(f"i{n}", f"t{n}") for n in range(size)]
    costs = {(i, t): 1.0 for i, _ in pairs for _, t in pairs if (i, t) not in pairs}
    return pairs, costs


@given(ROWS, ROWS)
@settings(max_examples=60, deadline=None)
def test_every_image_and_text_is_in_two_benign_rows_for_each_harmful_one(pairs: Any, rows: Any) -> None:
    costs = dict.fromkeys(sorted(rows - pairs), 1.0)
    ordered = sorted(pairs)
    images, texts = balance(ordered, costs, costs)
    assert images.keys() == texts.keys()
    written = [*images.values(), *texts.values()]
    assert len(set(written)) == len(written)
    assert set(written) <= costs.keys()
    for part in (0, 1):
        harmful = uses((ordered[position] for position in images), part)
        for partners in (images, texts):
            assert uses(partners.values(), part) == harmful


@given(ROWS, ROWS)
@settings(max_examples=60, deadline=None)
def test_a_partner_replaces_one_part_and_keeps_the_other(pairs: Any, rows: Any) -> None:
    ordered = sorted(pairs)
    images, texts = balance(ordered, *[dict.fromkeys(sorted(rows - pairs), 1.0)] * 2)
    for position in images:
        image, text = ordered[position]
        assert images[position][1] == text
        assert images[position][0] != image
        assert texts[position][0] == image
        assert texts[position][1] != text


def test_three_pairs_that_all_go_together_are_all_kept() -> None:
    pairs, costs = complete(3)
    images, texts = balance(pairs, costs, costs)
    assert sorted(images) == [0, 1, 2]
    assert {*images.values(), *texts.values()} == costs.keys()


def test_two_pairs_have_too_few_rows_for_partners_of_both_kinds() -> None:
    assert balance(*[complete(2)[0], complete(2)[1], complete(2)[1]]) == ({}, {})


def test_as_many_pairs_as_possible_are_kept_before_any_cost_is_saved() -> None:
    pairs, costs = complete(4)
    dear = {row: 90.0 if "i3" in row or "t3" in row else 0.0 for row in costs}
    assert len(balance(pairs, dear, dear).images) == 4


def test_the_nearest_rows_get_the_role_that_they_are_near_in() -> None:
    pairs, costs = complete(3)
    near = {("i1", "t0"), ("i2", "t1"), ("i0", "t2")}
    by_image = {row: 1.0 if row in near else 40.0 for row in costs}
    by_text = {row: 40.0 if row in near else 1.0 for row in costs}
    images, texts = balance(pairs, by_image, by_text)
    assert set(images.values()) == near
    assert set(texts.values()) == costs.keys() - near


def test_rows_of_other_parts_are_never_used() -> None:
    pairs, costs = complete(3)
    strange = {("stranger", "t0"): 0.0, ("i0", "strange words"): 0.0}
    images, texts = balance(pairs, costs | strange, costs | strange)
    assert not {*images.values(), *texts.values()} & strange.keys()


def test_nothing_in_nothing_out() -> None:
    assert balance([], {}, {}) == ({}, {})
    assert balance([("i", "t")], {}, {}) == ({}, {})


def test_rows_can_be_parted_without_looking_at_costs() -> None:
    pairs, costs = complete(3)
    images, texts = _parted(pairs, sorted(costs))
    assert sorted([*images, *texts]) == sorted(costs)
    assert uses(images, 0) == uses(texts, 0) == uses(pairs, 0)


@given(ROWS, ROWS)
@settings(max_examples=60, deadline=None)
def test_cycles_are_balanced_each_by_itself(pairs: Any, rows: Any) -> None:
    ordered = sorted(pairs)
    used, taken = circulate(ordered, dict.fromkeys(sorted(rows - pairs), 1.0), uses=1)
    kept = [pair for pair, count in zip(ordered, used, strict=True) if count]
    found = cycles(kept, taken)
    assert sorted(row for cycle in found for row in cycle) == taken
    for cycle in found:
        following = [*cycle[1:], cycle[0]]
        assert all((row[0], after[1]) in kept for row, after in zip(cycle, following, strict=True))
