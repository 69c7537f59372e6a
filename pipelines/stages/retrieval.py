"""Retrieval: queries and assets of a split in, the nearest assets of every query out.

The index is cut into shards by a hash of the asset id; each shard is searched by itself with FAISS and the
shards' hits are merged, so no worker needs all vectors. The outcome does not depend on the number of shards.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import apache_beam as beam
import numpy as np
from apache_beam.transforms import combiners

from pipelines.stages.embed import Vectors, load_vectors
from pipelines.storage.workspace import Workspace

QUERIES = 1024
"""Queries searched at once."""
SLACK = 16
"""Hits asked for beyond the count, so that a tie at the end rarely needs a second search."""
MARGIN = 2e-4
"""Scores closer than this may tie once rounded to 4 decimals; above it float32 noise cannot matter either."""


class Hit(NamedTuple):
    """An asset near a query: the cosine, rounded to 4 decimals, and the asset's id."""

    score: float
    id: str


def rank(hit: Hit) -> tuple[float, str]:
    """Sort key that puts the best first: by falling score, ties by id."""
    return -hit.score, hit.id


def shard_of(id: str, shards: int) -> int:
    """The index shard of an asset."""
    return int(hashlib.sha256(id.encode()).hexdigest(), 16) % shards


def query_key(text: str) -> str:
    """The key of a query in the text embedder's cache."""
    return hashlib.sha256(text.encode()).hexdigest()


class Away(NamedTuple):
    """Makes a query look away from something: key `ID-QUERY` then stands for vector(ID) - weight * vector(QUERY)."""

    fingerprint: str
    """Of the embedder of what is looked away from, of the same space."""
    weight: float


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
    import faiss

    faiss.omp_set_num_threads(1)
    index = faiss.IndexFlatIP(vectors.shape[1])
    index.add(vectors)
    hits: list[list[Hit]] = [[] for _ in queries]
    pending, k = np.arange(len(queries)), min(len(ids), count + SLACK)
    while len(pending):
        scores, rows = index.search(queries[pending], k)
        beyond_ties = scores[:, -1] < scores[:, min(count, k) - 1] - MARGIN
        enough = beyond_ties | (k == len(ids))
        for query, near in zip(pending[enough], rows[enough], strict=True):
            hits[query] = _exact(ids, vectors, queries[query], near)[:count]
        pending, k = pending[~enough], min(len(ids), 2 * k)
    return hits


def _exact(ids: Sequence[str], vectors: Vectors, query: Vectors, rows: Any) -> list[Hit]:
    scores = np.einsum("ij,j->i", vectors[rows].astype(np.float64), query.astype(np.float64))
    return sorted((Hit(round(float(s), 4), ids[r]) for s, r in zip(scores, rows, strict=True)), key=rank)


class Nearest(beam.PTransform[Any, Any]):
    """`{"assets": (split, id), "queries": (split, key)}` -> `((split, key), [Hit, ...])`, best first.

    A query sees only the assets of its own split, and the same query may be given more than once. One that
    finds nothing, as its split has no assets, does not come out.

    Args:
        assets: Fingerprint of the embedder of the assets.
        queries: Fingerprint of the embedder of the queries, of the same space.
        workspace: Where their vectors are.
        shards: Shards of the index, of each split.
        count: Hits a query.
        away: If given, what the queries look away from; an asset is then not found by its own id.
    """

    def __init__(
        self,
        assets: str,
        queries: str,
        workspace: Workspace,
        *,
        shards: int,
        count: int,
        away: Away | None = None,
    ) -> None:
        super().__init__()
        self._shards = shards
        self._count = count
        self._search = _SearchShard(assets, queries, workspace, count, away)

    def expand(self, inputs: dict[str, Any]) -> Any:
        """Send every query to every shard of its split, search, and merge."""
        shards = self._shards
        assets = inputs["assets"] | "Shard" >> beam.Map(lambda a: ((a[0], shard_of(a[1], shards)), a[1]))
        queries = inputs["queries"] | "ToShards" >> beam.FlatMap(
            lambda q: [((q[0], shard), q[1]) for shard in range(shards)]
        )
        found = {"assets": assets, "queries": queries} | beam.CoGroupByKey() | beam.ParDo(self._search)
        return found | "Merge" >> combiners.Top.PerKey(self._count, key=rank, reverse=True)


class _SearchShard(beam.DoFn):
    def __init__(
        self, assets: str, queries: str, workspace: Workspace, count: int, away: Away | None
    ) -> None:
        self._assets = assets
        self._queries = queries
        self._workspace = workspace
        self._count = count
        self._away = away

    def process(self, element: Any) -> Iterator[Any]:
        (split, _), groups = element
        ids, keys = sorted(set(groups["assets"])), sorted(set(groups["queries"]))
        if not ids or not keys:
            return
        vectors = load_vectors(self._assets, self._workspace, ids)
        for start in range(0, len(keys), QUERIES):
            some = keys[start : start + QUERIES]
            queries = self._load(some)
            for key, hits in zip(some, search(ids, vectors, queries, self._count + 1), strict=True):
                kept = [hit for hit in hits if not self._away or hit.id != key.partition("-")[0]]
                yield from (((split, key), hit) for hit in kept[: self._count])

    def _load(self, keys: list[str]) -> Vectors:
        if self._away is None:
            return load_vectors(self._queries, self._workspace, keys)
        ids, others = zip(*(key.split("-") for key in keys), strict=True)
        vectors = load_vectors(self._queries, self._workspace, ids)
        looked_away = load_vectors(self._away.fingerprint, self._workspace, others)
        return vectors - np.float32(self._away.weight) * looked_away
