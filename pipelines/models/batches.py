"""Batches of one fixed shape on single-threaded workers, so that a result depends on its own input alone.

Matrix kernels pick their order of summation from the shapes and the number of threads. Every batch is therefore
padded to the same number of rows, and the cores are used by several batches at once instead of several threads in
one batch: scores are equal to the last bit whatever the neighbours, the bundle or the number of processes.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Hashable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def map_batches(
    run: Callable[[list[T]], Sequence[R]],
    items: Sequence[T],
    *,
    size: int,
    threads: int = 0,
    shapes: Sequence[Hashable] | None = None,
) -> list[R]:
    """Apply `run` to batches of exactly `size` items and return the results in the items' order.

    Args:
        run: Gives one result an item; called from `threads` threads at once.
        items: Any number of items.
        size: Items in a batch; a short batch is filled up with copies of its last item.
        threads: Batches at a time; 0 means one a core.
        shapes: One shape an item, where items differ (a padded length, say): only equals share a batch.
    """
    groups: dict[Hashable, list[int]] = {}
    for index in range(len(items)):
        groups.setdefault(shapes[index] if shapes else None, []).append(index)
    batches = [members[s : s + size] for members in groups.values() for s in range(0, len(members), size)]

    def run_batch(members: list[int]) -> list[R]:
        batch = [items[i] for i in members]
        return list(run(batch + [batch[-1]] * (size - len(batch)))[: len(batch)])

    workers = max(1, min(threads or os.cpu_count() or 1, len(batches)))
    with ThreadPoolExecutor(workers, initializer=_one_thread) as executor:
        results = list(executor.map(run_batch, batches))
    placed = {
        i: r
        for members, part in zip(batches, results, strict=True)
        for i, r in zip(members, part, strict=True)
    }
    return [placed[index] for index in range(len(items))]


def _one_thread() -> None:
    import torch

    torch.set_num_threads(1)
