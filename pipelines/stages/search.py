"""Search: a pool and queries in, the best hits of every query out, scored in double precision."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.stages.embed import Vectors
from pipelines.stages.indexes import BLOCK, IndexSettings, candidates, widened
from pipelines.stages.parts import Pool, single_threaded

SLACK = 16
"""Hits asked for beyond the count, so that a tie at the end rarely needs a second search."""
MARGIN = 2e-4
"""Scores closer than this may tie once rounded to 4 decimals; above it float32 noise cannot matter either."""
EXACT = IndexSettings("flat")


class Hit(NamedTuple):
    """An asset near a query: the cosine, rounded to 4 decimals, and the asset's id."""

    score: float
    id: str


class Tuned(NamedTuple):
    """A search that is wide enough, and how it was found to be."""

    settings: IndexSettings
    recall: float
    """Share of the true nearest that it found, over the queries that it was measured on."""
    queries: int
    """How many these were."""


def rank(hit: Hit) -> tuple[float, str]:
    """Sort key that puts the best first: by falling score, ties by id."""
    return -hit.score, hit.id


def search(ids: Sequence[str], vectors: Vectors, queries: Vectors, count: int) -> list[list[Hit]]:
    """Find the `count` assets with the highest inner product for every query, best first.

    FAISS preselects; the scores are then computed again in double precision and rounded, so that neither the
    shards nor the order of a sum decide a tie.

    Args:
        ids: Asset ids, at least one.
        vectors: (n, d), the unit vectors of `ids`.
        queries: (q, d), unit vectors.
        count: Hits a query; fewer if there are fewer assets.
    """
    faiss = single_threaded()
    hits: list[list[Hit]] = [[] for _ in queries]
    pending, k = np.arange(len(queries)), min(len(ids), count + SLACK)
    while len(pending):
        scores, rows = faiss.knn(queries[pending], vectors, k, metric=faiss.METRIC_INNER_PRODUCT)
        beyond_ties = scores[:, -1] < scores[:, min(count, k) - 1] - MARGIN
        enough = beyond_ties | (k == len(ids))
        for query, near in zip(pending[enough], rows[enough], strict=True):
            hits[query] = _exact([ids[row] for row in near], vectors[near], queries[query])[:count]
        pending, k = pending[~enough], min(len(ids), 2 * k)
    return hits


def nearest(pool: Pool, queries: Vectors, settings: IndexSettings, count: int) -> list[list[Hit]]:
    """The best hits of a pool for every query, best first; how the pool is cut into parts does not matter.

    Args:
        pool: At least one vector; with an index unless the settings say `flat`.
        queries: (q, d), unit vectors.
        settings: How to search.
        count: Hits a query; fewer if fewer are found.
    """
    if settings.kind != "flat":
        near = candidates(pool.index, queries, settings)
        space = np.empty((max(map(len, near)), queries.shape[1]), dtype=np.float32)
        return [_best(pool, query, rows, count, space) for query, rows in zip(queries, near, strict=True)]
    best: list[list[Hit]] = [[] for _ in queries]
    for ids, vectors in pool.blocks(BLOCK):
        found_here = search(ids, vectors, queries, count)
        best = [sorted(old + new, key=rank)[:count] for old, new in zip(best, found_here, strict=True)]
    return best


def tune(pool: Pool, queries: Vectors, settings: IndexSettings, count: int, target: float) -> Tuned:
    """Widen a search until it finds enough of what an exact search finds.

    Enough is when the lower end of the recall's 95% interval reaches the target, so that other queries of
    the same kind are served as well. Where even the widest search finds too little (codes cannot tell apart a
    handful of vectors, say), the pool is searched exactly.

    Args:
        pool: With an index unless the settings say `flat`.
        queries: (q, d), a sample, at least one.
        settings: Where to start.
        count: Hits a query that recall is measured at.
        target: Share of the true nearest that must be found, in (0, 1].
    """
    if settings.kind == "flat":
        return Tuned(settings, 1.0, 0)
    truth = nearest(pool, queries, EXACT, count)
    while True:
        recalls = _recalls(truth, nearest(pool, queries, settings, count))
        mean = float(recalls.mean())
        if mean - 2 * float(recalls.std()) / len(recalls) ** 0.5 >= target:
            return Tuned(settings, round(mean, 4), len(queries))
        wider = widened(settings, pool.size)
        if wider is None:
            return Tuned(EXACT, 1.0, len(queries))
        settings = wider


def _recalls(truth: list[list[Hit]], found: list[list[Hit]]) -> Any:
    """The share of its true nearest that each query found."""
    pairs = zip(truth, found, strict=True)
    return np.array(
        [len({hit.id for hit in true} & {hit.id for hit in hits}) / len(true) for true, hits in pairs]
    )


def _best(pool: Pool, query: Vectors, rows: Any, count: int, space: Vectors) -> list[Hit]:
    """The best of the candidates: a quick look at all, an exact one at those that may be among them."""
    if not len(rows):
        return []
    vectors = pool.vectors(rows, space)
    scores = np.einsum("ij,j->i", vectors, query)
    kept = np.flatnonzero(scores >= np.sort(scores)[-min(count, len(scores))] - MARGIN)
    return _exact(pool.ids(rows[kept]), vectors[kept], query)[:count]


def _exact(ids: Sequence[str], vectors: Vectors, query: Vectors) -> list[Hit]:
    scores = np.einsum("ij,j->i", vectors.astype(np.float64), query.astype(np.float64))
    return sorted((Hit(round(s, 4), id) for s, id in zip(scores.tolist(), ids, strict=True)), key=rank)
