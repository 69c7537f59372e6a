"""Retrieval: queries and assets of a split in, the nearest assets of every query out.

The pool is cut into shards by a hash of the asset id, and no worker needs all vectors in memory. The outcome does
not depend on the number of shards. Small pools are searched exactly; for large ones an index is built (see
`indexes`), in a run's folder, from where its vectors are mapped into memory.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import Any

import apache_beam as beam
from apache_beam.transforms import combiners

from pipelines.stages.embed import load_vectors
from pipelines.stages.indexed import QUERIES, Choice, Indexed
from pipelines.stages.indexes import Kind
from pipelines.stages.queries import Away, Queries, shard_of
from pipelines.stages.search import MARGIN, SLACK, Hit, rank, search
from pipelines.storage.workspace import Workspace
from schemas import config

__all__ = [
    "MARGIN", "QUERIES", "SLACK", "Away", "Hit", "Nearest", "query_key", "rank", "search", "shard_of",
]  # fmt: skip


def query_key(text: str) -> str:
    """The key of a query in the text embedder's cache."""
    return hashlib.sha256(text.encode()).hexdigest()


def index_options(pair: config.Pair, run_dir: str) -> dict[str, Any]:
    """The arguments of `Nearest` that a configuration asks for; a flat index needs no files."""
    kept = "" if pair.index == "flat" else run_dir
    return {"shards": pair.index_shards, "kind": pair.index, "target": pair.index_recall, "run_dir": kept}


class Nearest(beam.PTransform[Any, Any]):
    """`{"assets": (split, id), "queries": (split, key)}` -> `((split, key), [Hit, ...])`, best first.

    A query sees only the assets of its own split, and the same query may be given more than once. One that
    finds nothing, as its split has no assets, does not come out.

    Args:
        assets: Fingerprint of the embedder of the assets.
        queries: Fingerprint of the embedder of the queries, of the same space.
        workspace: Where their vectors are.
        shards: Shards of the index, of each split. A graph (`hnsw`) has one whatever is given.
        count: Hits a query.
        away: If given, what the queries look away from; an asset is then not found by its own id.
        target: Share of the true nearest that an approximate search has to find.
        kind: A kind of index for all splits; `auto` chooses by the size of each.
        run_dir: The run's folder, for the files of the indexes, and for `recall-*.json`, which say what was
            chosen for a split and which recall was measured. Without it the search is exact, and in memory.

    Raises:
        ValueError: An index without a folder for it.
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
        target: float = 0.95,
        kind: Kind = "auto",
        run_dir: str = "",
    ) -> None:
        super().__init__()
        if kind in ("ivf", "hnsw") and not run_dir:
            raise ValueError(f"an index of kind {kind!r} needs a run_dir to keep its files in")
        self._shards, self._count = shards, count
        self._search = _SearchShard(assets, workspace, Queries(queries, workspace, away), count)
        self._indexed: Indexed | None = None
        if run_dir:
            choice = Choice(count, target, kind)
            pool = Queries(queries, workspace, away)
            self._indexed = Indexed(assets, pool, workspace, choice, shards=shards, run_dir=run_dir)

    def expand(self, inputs: dict[str, Any]) -> Any:
        """Search every shard and merge; with a folder by way of files there."""
        if self._indexed is not None:
            return inputs | "Indexed" >> self._indexed
        shards = self._shards
        assets = inputs["assets"] | "Shard" >> beam.Map(lambda a: ((a[0], shard_of(a[1], shards)), a[1]))
        queries = inputs["queries"] | "ToShards" >> beam.FlatMap(
            lambda q: [((q[0], shard), q[1]) for shard in range(shards)]
        )
        found = {"assets": assets, "queries": queries} | beam.CoGroupByKey() | beam.ParDo(self._search)
        return found | "Merge" >> combiners.Top.PerKey(self._count, key=rank, reverse=True)


class _SearchShard(beam.DoFn):
    """((split, shard), ids and queries) -> ((split, key), hit), those of the shard."""

    def __init__(self, assets: str, workspace: Workspace, queries: Queries, count: int) -> None:
        self._assets, self._workspace, self._queries, self._count = assets, workspace, queries, count

    def process(self, element: Any) -> Iterator[Any]:
        (split, _), groups = element
        ids, keys = sorted(set(groups["assets"])), sorted(set(groups["queries"]))
        if not ids or not keys:
            return
        vectors = load_vectors(self._assets, self._workspace, ids)
        for start in range(0, len(keys), QUERIES):
            some = keys[start : start + QUERIES]
            found = search(ids, vectors, self._queries.load(some), self._count + self._queries.extra)
            for key, hits in zip(some, found, strict=True):
                yield from (((split, key), hit) for hit in self._queries.kept(key, hits)[: self._count])
