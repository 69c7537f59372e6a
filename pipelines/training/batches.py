"""Which rows training meets, and in what order: the members of a contrast set share a batch."""

from __future__ import annotations

import hashlib
import random
from collections.abc import Sequence


def contrast_order(groups: Sequence[str], batch: int, seed: int, before: int = 0) -> list[int]:
    """An order of all rows in which, cut into batches, contrast sets stay whole as far as they fit.

    Sets and single rows are shuffled together; a set that the present batch has no room for waits while smaller
    ones that come soon fill it. Where nothing near fits, and where a set is larger than a batch, a set is cut.

    Args:
        groups: The contrast group of every row; empty for a row that is in none.
        batch: Rows of one batch.
        seed: Decides the shuffle.
        before: Rows that came before, and so may have begun the first batch.
    """
    waiting = _units(groups)
    random.Random(f"order {seed}").shuffle(waiting)
    order: list[int] = []
    while waiting:
        room = batch - (before + len(order)) % batch
        soon = waiting[: 4 * batch]
        order += waiting.pop(next((n for n, rows in enumerate(soon) if len(rows) <= room), 0))
    return order


def _units(groups: Sequence[str]) -> list[list[int]]:
    """The rows of every set, and every single row by itself."""
    members: dict[str, list[int]] = {}
    for row, group in enumerate(groups):
        members.setdefault(group or f"row {row}", []).append(row)
    return list(members.values())


def repeated_order(groups: Sequence[str], batch: int, seed: int, rows: int) -> list[int]:
    """`contrast_order` over and over, another shuffle each time, until at least `rows` rows are there."""
    order: list[int] = []
    while len(order) < rows:
        order += contrast_order(groups, batch, seed + len(order), len(order))
    return order[:rows]


def chosen_rows(
    groups: Sequence[str], ids: Sequence[str], share: float, *, from_end: bool = False
) -> list[int]:
    """The rows of a share of the contrast sets, and of the pairs that are in none, in the order of their hashes.

    Args:
        groups: The contrast group of every row; empty for a row that is in none.
        ids: Of every row.
        share: In [0, 1].
        from_end: Take the last sets, not the first; two shares of which one is from the end meet only if their sum
            is above 1.
    """
    keys = [group or id for group, id in zip(groups, ids, strict=True)]
    start, end = (1 - share, 1.0) if from_end else (0.0, share)
    return [row for row, key in enumerate(keys) if start <= _place(key) < end]


def _place(key: str) -> float:
    """In [0, 1)."""
    return int.from_bytes(hashlib.sha256(f"sft {key}".encode()).digest()[:8], "big") / 2**64
