from hypothesis import given
from hypothesis import strategies as st

from pipelines.training.batches import chosen_rows, contrast_order, repeated_order

GROUPS = st.lists(st.sampled_from(["", "", "a", "b", "c", "d", "e", "f"]), max_size=60)


@given(GROUPS, st.integers(1, 9), st.integers(0, 9))
def test_every_row_comes_once(groups: list[str], batch: int, seed: int) -> None:
    assert sorted(contrast_order(groups, batch, seed)) == list(range(len(groups)))


def test_sets_of_three_are_whole_where_single_rows_fill_the_batches() -> None:
    groups = [f"set {n // 3}" for n in range(90)] + [""] * 60
    order = contrast_order(groups, 8, 0)
    batches = [order[start : start + 8] for start in range(0, len(order), 8)]
    cut = [
        n
        for n in range(30)
        if len({i for i, rows in enumerate(batches) for r in rows if r // 3 == n and r < 90}) > 1
    ]
    assert len(cut) <= 1


def test_sets_stay_whole_in_every_pass_also_where_a_pass_ends_within_a_batch() -> None:
    groups = [f"set {n // 3}" for n in range(93)]
    order = repeated_order(groups, 12, 0, 5 * len(groups))
    places: dict[tuple[int, str], set[int]] = {}
    for place, row in enumerate(order):
        places.setdefault((place // len(groups), groups[row]), set()).add(place // 12)
    assert len(places) == 5 * 31
    assert all(len(batches) == 1 for batches in places.values())


def test_single_rows_are_not_left_to_the_end() -> None:
    order = contrast_order([f"set {n // 3}" for n in range(300)] + [""] * 100, 32, 0)
    singles = [place for place, row in enumerate(order) if row >= 300]
    assert 100 < sum(singles) / len(singles) < 300


def test_the_seed_alone_decides_the_order() -> None:
    groups = ["a", "a", "b", "b", *[""] * 20]
    assert contrast_order(groups, 4, 1) == contrast_order(groups, 4, 1)
    assert contrast_order(groups, 4, 1) != contrast_order(groups, 4, 2)


def test_an_order_that_is_repeated_is_another_each_time() -> None:
    order = repeated_order([""] * 20, 4, 0, 50)
    assert sorted(order[:20]) == sorted(order[20:40]) == list(range(20))
    assert order[:20] != order[20:40]
    assert len(order) == 50


def test_a_share_is_of_whole_contrast_sets_and_of_single_pairs() -> None:
    groups = [f"set {n // 3}" for n in range(300)] + [""] * 100
    ids = [str(n) for n in range(400)]
    rows = chosen_rows(groups, ids, 0.5)
    sets = {groups[row] for row in rows} - {""}
    assert sorted(rows) == rows and 35 <= len(sets) <= 65 and 35 <= sum(row >= 300 for row in rows) <= 65
    assert {row for row in range(300) if groups[row] in sets} == {row for row in rows if row < 300}
    assert set(rows) < set(chosen_rows(groups, ids, 0.7))
    assert chosen_rows(groups, ids, 1.0) == list(range(400))


def test_a_share_from_the_start_and_one_from_the_end_meet_only_where_they_are_more_than_all() -> None:
    groups = [f"set {n // 3}" for n in range(300)]
    ids = [str(n) for n in range(300)]
    first, last = chosen_rows(groups, ids, 0.5), chosen_rows(groups, ids, 0.5, from_end=True)
    assert sorted(first + last) == list(range(300))
    assert set(first) & set(chosen_rows(groups, ids, 0.7, from_end=True))
    assert chosen_rows(groups, ids, 1.0, from_end=True) == list(range(300))
