import os
import threading
from typing import Any

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from pipelines.models.batches import map_batches


@given(
    st.lists(st.integers(), max_size=60), st.integers(1, 9), st.integers(0, 3), st.booleans(), st.booleans()
)
def test_results_come_in_the_order_of_the_items(
    items: list[int], size: int, threads: int, shaped: bool, one_by_one: bool
) -> None:
    seen: list[int] = []

    def run(batch: list[int]) -> list[int]:
        seen.append(len(batch))
        return [n * 2 for n in batch]

    shapes = [n % 3 for n in items] if shaped else None
    options: dict[str, Any] = {"threads": threads, "shapes": shapes, "one_by_one": one_by_one}
    assert map_batches(run, items, size=size, **options) == [n * 2 for n in items]
    assert set(seen) <= {size}


def test_a_short_batch_is_filled_with_its_last_item() -> None:
    batches: list[list[str]] = []

    def run(batch: list[str]) -> list[str]:
        batches.append(batch)
        return batch

    map_batches(run, list("abcde"), size=4, threads=1)
    assert batches == [list("abcd"), list("eeee")]


def test_only_items_of_one_shape_share_a_batch() -> None:
    batches: list[list[str]] = []
    map_batches(
        lambda b: batches.append(b) or b,
        ["a", "bb", "c", "dd", "e"],
        size=2,
        threads=1,
        shapes=[1, 2, 1, 2, 1],
    )
    assert sorted(batches) == [["a", "c"], ["bb", "dd"], ["e", "e"]]


def test_nothing_to_do_runs_nothing() -> None:
    def run(batch: list[int]) -> list[int]:
        raise AssertionError("there is nothing to run")

    assert map_batches(run, [], size=4) == []


def test_as_many_batches_run_at_once_as_there_are_threads() -> None:
    together = threading.Barrier(3, timeout=20)

    def run(batch: list[int]) -> list[int]:
        together.wait()
        return batch

    assert map_batches(run, list(range(6)), size=2, threads=3) == list(range(6))


@pytest.mark.parametrize("threads", [0, 1, 4])
def test_each_batch_computes_on_one_thread_and_the_caller_keeps_its_own(threads: int) -> None:
    before = torch.get_num_threads()
    counts = map_batches(
        lambda b: [torch.get_num_threads()] * len(b), list(range(8)), size=2, threads=threads
    )
    assert counts == [1] * 8
    assert torch.get_num_threads() == before <= (os.cpu_count() or 1)


def test_an_error_in_a_batch_reaches_the_caller() -> None:
    def run(batch: list[int]) -> list[int]:
        raise ValueError(f"cannot do {batch}")

    with pytest.raises(ValueError, match="cannot do"):
        map_batches(run, [1, 2], size=2)


def test_one_by_one_the_caller_runs_while_threads_load_the_next_batches() -> None:
    loaded: list[int] = []
    running, ahead = threading.Event(), threading.Event()

    def load(item: int) -> int:
        assert threading.current_thread() is not threading.main_thread()
        loaded.append(item)
        if item == 3:
            ahead.set()
        return item * 10

    def run(batch: list[int]) -> list[int]:
        assert threading.current_thread() is threading.main_thread() and not running.is_set()
        running.set()
        assert ahead.wait(20), "nothing was loaded while the first batch ran"
        running.clear()
        return batch

    results = map_batches(run, range(40), size=2, threads=2, load=load, one_by_one=True)
    assert results == [n * 10 for n in range(40)]
    assert sorted(loaded) == list(range(40))


def test_one_by_one_only_a_few_batches_are_held_at_once() -> None:
    held, most = 0, 0
    lock = threading.Lock()

    def load(item: int) -> int:
        nonlocal held, most
        with lock:
            held += 1
            most = max(most, held)
        return item

    def run(batch: list[int]) -> list[int]:
        nonlocal held
        with lock:
            held -= len(batch)
        return batch

    map_batches(run, range(200), size=4, threads=2, load=load, one_by_one=True)
    assert most <= 4 * 4


@pytest.mark.parametrize("one_by_one", [False, True])
def test_an_item_that_cannot_be_loaded_reaches_the_caller(one_by_one: bool) -> None:
    def load(item: int) -> int:
        raise OSError(f"cannot read {item}")

    with pytest.raises(OSError, match="cannot read"):
        map_batches(lambda batch: batch, range(9), size=2, load=load, one_by_one=one_by_one)


@pytest.mark.parametrize("one_by_one", [False, True])
def test_what_fills_a_short_batch_is_loaded_once(one_by_one: bool) -> None:
    loaded: list[str] = []
    map_batches(
        lambda batch: batch, list("abcde"), size=4, load=loaded.append, one_by_one=one_by_one, threads=1
    )
    assert sorted(loaded) == list("abcde")
