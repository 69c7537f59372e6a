"""Balance: which emergent pairs can all have contrast partners that are made of one another's parts.

If the partners are, and each part replaces others as often as it is replaced, then every image and every text is in
two benign rows for each harmful one. What a part looks like, or where it comes from, then says nothing about the
label: only the combination does.

Draw an emergent pair as an edge from its image to its text, a benign row as an edge from its text to its image: what
is asked for is the largest circulation. That is a linear programme whose corners are whole numbers (Hoffman and
Kruskal, 1956), so that a solver has nothing to search. Which rows replace images and which texts is a second one,
where it seldom has.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

Row = tuple[str, str]
"""An image id and a text id."""
Costs = Mapping[Row, float]
"""Benign rows that may be used, and how far each is from the pair it contrasts with; in [0, 100]."""
LEFT_OUT = 1e4
"""The cost of leaving a pair out: more than any partner's, so that as few as possible are."""


class Partners(NamedTuple):
    """Position of every pair that can be balanced to its benign rows; both have the same keys."""

    images: dict[int, Row]
    """Another image with the pair's text."""
    texts: dict[int, Row]
    """Another text with the pair's image."""


def balance(pairs: Sequence[Row], by_image: Costs, by_text: Costs) -> Partners:
    """The emergent pairs that get a partner of both kinds, and which; no row is used twice.

    Args:
        pairs: The emergent pairs, each once.
        by_image: The benign rows, by what it costs to use one for its image.
        by_text: The same rows, by what it costs to use one for its text.
    """
    costs = {row: min(cost, by_text[row]) for row, cost in by_image.items()}
    kept = list(range(len(pairs)))
    while True:
        uses, rows = circulate([pairs[i] for i in kept], costs, uses=2)
        if all(count == 2 for count in uses):
            break
        kept = [i for i, count in zip(kept, uses, strict=True) if count == 2]
    some = [pairs[i] for i in kept]
    images, texts = _by_role(some, by_image, by_text) or _parted(some, rows)
    return Partners(_shared_out(kept, some, images, part=1), _shared_out(kept, some, texts, part=0))


def circulate(pairs: Sequence[Row], costs: Costs, uses: int) -> tuple[list[int], list[Row]]:
    """The cheapest of the largest balanced sets: how often each pair is used, in [0, `uses`], and the rows, sorted.

    Every image and every text is in as many of the rows as its pairs are used.
    """
    import numpy as np
    from scipy.sparse import hstack

    rows = _within(pairs, costs)
    pairs_of, rows_of = _incidence(pairs, pairs), _incidence(pairs, rows)
    found = _solve(
        np.r_[np.full(len(pairs), -LEFT_OUT), [costs[row] for row in rows]],
        [(hstack([pairs_of, -rows_of]), 0, 0)],
        np.r_[np.full(len(pairs), uses), np.ones(len(rows))],
    )
    if found is None:
        raise ArithmeticError(f"the balance of {len(pairs)} pairs was not solved")
    return found[: len(pairs)].tolist(), _chosen(rows, found[len(pairs) :])


def _by_role(pairs: Sequence[Row], by_image: Costs, by_text: Costs) -> tuple[list[Row], list[Row]] | None:
    """The nearest rows for all images and, apart from those, for all texts, to one in a hundred; None if not found."""
    import numpy as np
    from scipy.sparse import block_array, eye_array

    rows = _within(pairs, by_image)
    incidence, once = _incidence(pairs, rows), eye_array(len(rows))
    degrees = np.tile(_incidence(pairs, pairs).sum(axis=1), 2)
    found = _solve(
        np.array([*(by_image[row] for row in rows), *(by_text[row] for row in rows)]),
        [
            (block_array([[incidence, None], [None, incidence]]), degrees, degrees),
            (block_array([[once, once]]), 0, 1),
        ],
        np.ones(2 * len(rows)),
        gap=0.01,
    )
    return None if found is None else (_chosen(rows, found[: len(rows)]), _chosen(rows, found[len(rows) :]))


def _parted(pairs: Sequence[Row], rows: Sequence[Row]) -> tuple[list[Row], list[Row]]:
    """Part rows, two for each use of every image and text, into one of each for images and one for texts."""
    _, images = circulate(pairs, dict.fromkeys(rows, 0.0), uses=1)
    return images, sorted(set(rows) - set(images))


def _solve(costs: Any, limits: Sequence[tuple[Any, Any, Any]], most: Any, gap: float = 0.0) -> Any:
    """The cheapest whole numbers in [0, `most`], up to a gap, for which every (matrix, low, high) holds.

    None if none were found. When to give up depends on the work done, not on the time, so that the result is the
    same everywhere.
    """
    import numpy as np
    from scipy.optimize import Bounds, LinearConstraint, milp

    if not len(costs):
        return np.zeros(0, dtype=int)
    found = milp(
        costs,
        constraints=[LinearConstraint(*limit) for limit in limits],
        integrality=np.ones(len(costs)),
        bounds=Bounds(0, most),
        options={"mip_rel_gap": gap, "node_limit": 1000},
    ).x
    return None if found is None else found.round().astype(int)


def _within(pairs: Sequence[Row], rows: Iterable[Row]) -> list[Row]:
    """The rows that are made of the pairs' parts, sorted."""
    images, texts = ({pair[part] for pair in pairs} for part in (0, 1))
    return sorted(row for row in rows if row[0] in images and row[1] in texts)


def _incidence(pairs: Sequence[Row], rows: Sequence[Row]) -> Any:
    """Which of the pairs' parts are in which row: (parts, rows), two ones in each column."""
    import numpy as np
    from scipy.sparse import csr_array

    parts = [(kind, part) for kind in (0, 1) for part in sorted({pair[kind] for pair in pairs})]
    numbers = {part: number for number, part in enumerate(parts)}
    ends = [numbers[kind, row[kind]] for kind in (0, 1) for row in rows]
    columns = np.tile(np.arange(len(rows)), 2)
    return csr_array((np.ones(2 * len(rows)), (ends, columns)), shape=(len(parts), len(rows)))


def _chosen(rows: Sequence[Row], counts: Iterable[int]) -> list[Row]:
    return [row for row, count in zip(rows, counts, strict=True) if count]


def cycles(pairs: Iterable[Row], rows: Iterable[Row]) -> list[list[Row]]:
    """Cut a balanced set into parts that are each balanced, and as small as following the edges makes them.

    Args:
        pairs: The pairs in use.
        rows: As many benign rows, of the same parts as often.

    Returns:
        The rows of each part.
    """
    texts_of, rows_of = _grouped(pairs, 0), _grouped(rows, 1)
    found = []
    for image in sorted(texts_of):
        while texts_of[image]:
            cycle: list[Row] = []
            at = image
            while not cycle or at != image:
                text = texts_of[at].pop()[1]
                cycle.append(rows_of[text].pop())
                at = cycle[-1][0]
            found.append(cycle)
    return found


def _shared_out(kept: Sequence[int], pairs: Sequence[Row], rows: Iterable[Row], part: int) -> dict[int, Row]:
    """Give every pair one of the rows that have its text (`part` 1) or its image (0)."""
    rows_of = _grouped(rows, part)
    return {position: rows_of[pair[part]].pop() for position, pair in zip(kept, pairs, strict=True)}


def _grouped(rows: Iterable[Row], part: int) -> dict[str, list[Row]]:
    """Rows by one of their parts, the last of each sorted first."""
    groups: dict[str, list[Row]] = {}
    for row in sorted(rows, reverse=True):
        groups.setdefault(row[part], []).append(row)
    return groups
