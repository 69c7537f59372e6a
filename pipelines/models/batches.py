"""Batches of one fixed shape on single-threaded workers, so that a result depends on its own input alone.

Matrix kernels pick their order of summation from the shapes and the number of threads. Every batch is therefore
padded to the same number of rows, and the cores are used by several batches at once instead of several threads in
one batch: scores are equal to the last bit whatever the neighbours, the bundle or the number of processes.

An accelerator is one and has memory for one batch, so there one batch runs at a time while the cores prepare the
next ones: it must never wait for a picture to be decoded.
"""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Hashable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_batches(
    run: Callable[[Any], Sequence[R]],
    items: Sequence[T],
    *,
    size: int,
    threads: int = 0,
    shapes: Sequence[Hashable] | None = None,
    load: Callable[[T], Any] | None = None,
    join: Callable[[list[Any]], Any] | None = None,
    one_by_one: bool = False,
) -> list[R]:
    """Apply `run` to batches of exactly `size` items and return the results in the items' order.

    Args:
        run: Gives one result an item of a batch; called from `threads` threads at once, or from the caller's alone.
        items: Any number of items.
        size: Items in a batch; a short batch is filled up with copies of its last item.
        threads: Batches at a time (or, one by one, items that are loaded at a time); 0 means one a core.
        shapes: One shape an item, where items differ (a padded length, say): only equals share a batch.
        load: Prepares one item before its batch; called in threads.
        join: Makes of a batch of loaded items what `run` takes; called in threads. By default it is their list.
        one_by_one: Run one batch at a time, in the caller's thread, while threads load and join the next ones:
            for a model on an accelerator.
    """
    groups: dict[Hashable, list[int]] = {}
    for index in range(len(items)):
        groups.setdefault(shapes[index] if shapes else None, []).append(index)
    batches = [members[s : s + size] for members in groups.values() for s in range(0, len(members), size)]
    steps = _Steps(items, load or _same, join or _same, size)
    workers = threads or os.cpu_count() or 1
    parts = _ahead(run, steps, batches, workers) if one_by_one else _at_once(run, steps, batches, workers)
    placed = {
        i: r for members, part in zip(batches, parts, strict=True) for i, r in zip(members, part, strict=True)
    }
    return [placed[index] for index in range(len(items))]


class _Steps:
    """How the input of a batch is made of its members' indices."""

    def __init__(
        self, items: Sequence[Any], load: Callable[[Any], Any], join: Callable[[list[Any]], Any], size: int
    ) -> None:
        self._items, self._load, self._join, self._size = items, load, join, size

    def load(self, index: int) -> Any:
        return self._load(self._items[index])

    def join(self, loaded: list[Any]) -> Any:
        return self._join(loaded + [loaded[-1]] * (self._size - len(loaded)))


def _at_once(
    run: Callable[[Any], Sequence[R]], steps: _Steps, batches: list[list[int]], workers: int
) -> list[list[R]]:
    def run_batch(members: list[int]) -> list[R]:
        return list(run(steps.join([steps.load(i) for i in members]))[: len(members)])

    with ThreadPoolExecutor(max(1, min(workers, len(batches))), initializer=_one_thread) as executor:
        return list(executor.map(run_batch, batches))


def _ahead(
    run: Callable[[Any], Sequence[R]], steps: _Steps, batches: list[list[int]], workers: int
) -> Iterator[list[R]]:
    """Results of the batches in turn; enough of the next ones are under way to keep all workers loading."""
    waiting: deque[tuple[int, Future[Any]]] = deque()
    loader = ThreadPoolExecutor(workers, initializer=_one_thread)
    joiner = ThreadPoolExecutor(1, initializer=_one_thread)

    def start(members: list[int]) -> None:
        loaded = [loader.submit(steps.load, index) for index in members]
        joined = joiner.submit(lambda: steps.join([one.result() for one in loaded]))
        waiting.append((len(members), joined))

    def finish() -> list[R]:
        count, joined = waiting.popleft()
        return list(run(joined.result())[:count])

    try:
        for members in batches:
            start(members)
            # One is run, one is joined, and the members of the others occupy the workers.
            if sum(count for count, _ in waiting) > workers and len(waiting) > 2:
                yield finish()
        while waiting:
            yield finish()
    finally:
        # The joiner first: it waits for what the loader does.
        joiner.shutdown(cancel_futures=True)
        loader.shutdown(cancel_futures=True)


def _same(value: Any) -> Any:
    return value


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
