from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.baselines import allocate, draw_key, random_pairs

POOLS = st.dictionaries(st.sampled_from(["train", "validation", "test", "test_ood"]), st.integers(0, 5000))


@given(st.integers(0, 1000), POOLS)
def test_allocation_adds_up_unless_the_pools_are_too_small(total: int, pools: dict[str, int]) -> None:
    shares = allocate(total, pools)
    assert sum(shares.values()) == min(total, sum(pools.values()))
    assert all(0 <= shares[name] <= size for name, size in pools.items())


def test_allocation_is_in_proportion() -> None:
    assert allocate(10, {"train": 640, "test": 260, "validation": 100}) == {
        "train": 6,
        "test": 3,
        "validation": 1,
    }


def test_draws_of_different_purpose_and_seed_differ() -> None:
    ids = [f"id{i}" for i in range(20)]
    orders = {tuple(sorted(ids, key=lambda id: draw_key(s, p, id))) for s in (0, 1) for p in ("a", "b")}
    assert len(orders) == 4


def test_random_pairs_use_no_asset_twice() -> None:
    pairs = random_pairs("train", ["i1", "i2", "i3"], ["t1", "t2"], 3)
    assert [(pair.image_id, pair.text_id, pair.method) for pair in pairs] == [
        ("i1", "t1", "random"),
        ("i2", "t2", "random"),
    ]
