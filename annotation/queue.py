"""In which order pairs are shown: every hazard in turn, the judge's least certain pairs first, gold in between."""

from __future__ import annotations

import heapq
from collections import Counter, defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from annotation.dataset import AnnotationError, PairSummary
from schemas.taxonomy import CLOSED_HAZARDS


class Queue(NamedTuple):
    """What to send, and what becomes of all other pairs of the dataset."""

    send: tuple[PairSummary, ...]
    """In this order."""
    present: int
    """How many pairs are in the project already."""
    left_out: dict[str, int]
    """Reason to number of pairs; `send`, `present` and these make up the dataset."""


def queue(
    pairs: Sequence[PairSummary],
    threshold: float,
    present: Collection[str],
    *,
    gold: Collection[str] = (),
    gold_share: float = 0.0,
    limit: int | None = None,
    only: Collection[str] | None = None,
) -> Queue:
    """Decide about every pair of the dataset.

    Args:
        pairs: All pairs of the dataset.
        threshold: The probability, in [0, 1], from which on a pair counts as harmful.
        present: Ids of the pairs that the project has.
        gold: Ids of the pairs whose answers are known; they are shown only as such.
        gold_share: The share, in [0, 1), of gold pairs among those sent, as far as there are enough.
        limit: The most pairs to send, gold ones included.
        only: In the second round, ids of the pairs that the first one left open; gold is not shown then.
    """
    reasons = Counter[str]()
    waiting: dict[bool, list[PairSummary]] = {True: [], False: []}
    for pair in pairs:
        if pair.id in present:
            continue
        if reason := _unfit(pair, only):
            reasons[reason] += 1
        else:
            waiting[only is None and pair.id in gold].append(pair)
    covered = Counter(pair.hazard for pair in pairs if pair.id in present)
    chosen = mix(order(waiting[False], threshold, covered), order(waiting[True], threshold), gold_share)
    send = tuple(chosen if limit is None else chosen[:limit])
    reasons["gold, beyond its share"] = len(waiting[False]) + len(waiting[True]) - len(chosen)
    reasons["beyond the limit"] = len(chosen) - len(send)
    there = sum(pair.id in present for pair in pairs)
    return Queue(send, there, {reason: count for reason, count in sorted(reasons.items()) if count})


def order(
    pairs: Iterable[PairSummary], threshold: float, covered: Mapping[str, int] | None = None
) -> list[PairSummary]:
    """Take the least covered hazard next, and of its pairs the one nearest to the threshold.

    Args:
        pairs: In any order.
        threshold: The probability, in [0, 1], from which on a pair counts as harmful.
        covered: Hazard to the number of its pairs that annotators have already.
    """
    by_hazard: defaultdict[str, list[PairSummary]] = defaultdict(list)
    for pair in sorted(pairs, key=lambda pair: (abs(pair.p_joint - threshold), pair.id)):
        by_hazard[pair.hazard].append(pair)
    counts = covered or {}
    turns = [(counts.get(hazard, 0), hazard, 0) for hazard in by_hazard]
    heapq.heapify(turns)
    ordered = []
    while turns:
        count, hazard, place = turns[0]
        ordered.append(by_hazard[hazard][place])
        if place + 1 < len(by_hazard[hazard]):
            heapq.heapreplace(turns, (count + 1, hazard, place + 1))
        else:
            heapq.heappop(turns)
    return ordered


def mix(pairs: Sequence[PairSummary], gold: Sequence[PairSummary], share: float) -> list[PairSummary]:
    """Put gold pairs evenly among the others, so that they make up `share` of all, or fewer if there are too few."""
    count = min(len(gold), round(len(pairs) * share / (1 - share)))
    places = Counter((2 * n + 1) * len(pairs) // (2 * count) for n in range(count))
    mixed: list[PairSummary] = []
    known = iter(gold)
    for place in range(len(pairs) + 1):
        mixed += [next(known) for _ in range(places[place])]
        mixed += pairs[place : place + 1]
    return mixed


def left_open(folder: Path) -> frozenset[str]:
    """Ids of the pairs that the adjudication in the folder of annotations could not settle.

    Raises:
        AnnotationError: There is no adjudication.
    """
    import pyarrow.parquet as pq

    path = folder / "adjudicated.parquet"
    if not path.exists():
        raise AnnotationError(f"{path} is not there: run `python -m annotation adjudicate` before round 2")
    rows = pq.read_table(path, columns=["pair_id", "status"]).to_pylist()
    return frozenset(row["pair_id"] for row in rows if row["status"] != "settled")


def _unfit(pair: PairSummary, only: Collection[str] | None) -> str:
    if pair.hazard in CLOSED_HAZARDS:
        return "its hazard is closed"
    if not pair.text.strip():
        return "it has no text"
    return "" if only is None or pair.id in only else "not left open by the first round"
