"""Indexes: vectors of a pool in, the nearest of them to a query out; by all of them, or by a chosen part.

A pool is cut into parts (the shards), each a few files that are mapped into memory. The kinds of index:

* `flat` compares a query with all vectors and misses nothing.
* `ivf` compares 4-bit codes of the vectors in the lists near the query, then the best of them exactly. Lists and
  codebooks are learned once, from a sample of the whole pool. The parts are indexed by themselves, and their lists
  are joined: they are then those of an index built at once, and find what it finds.
* `hnsw` walks a graph. The graphs of two parts do not find what one graph finds, so it takes a pool in one part.

Measured on one thread of a 2.4 GHz EPYC, 512 dimensions, vectors made by encoders, 1,000 queries at once, relative
to FAISS's flat search, at recall@20 of 0.95: of 200,000 vectors `ivf` takes 0.12 to 0.19 of the time, and building
and tuning it take as long as 5,700 flat queries. (Lists of whole, half-precision or 8-bit vectors take 0.5 to 1.0;
of 20,000 vectors, `ivf` takes longer than flat.) Of 50,000 vectors `hnsw` takes 0.43, and building it as long as
21,000 flat queries. So `hnsw` is there to be asked for, and is never chosen.

Memory for 1 million vectors of 512 dimensions: 2.05 GB of vectors and 0.06 GB of ids in mapped files, whose pages
the system takes back when it needs them; 0.13 GB of codes and 0.01 GB of row numbers in a process that searches.
Two pools of that size take 4.5 GB if every page is in memory.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.stages.embed import Vectors
from pipelines.stages.parts import single_threaded

Kind = Literal["auto", "flat", "ivf", "hnsw"]
FLAT = 50_000
"""Up to so many vectors a search of all is fast enough."""
PAYS_AFTER = 7
"""Queries for each list, from which on building the lists takes less time than it saves."""
LEARNERS = 40
"""Vectors for each list that the lists are learned from."""
LEARNING_SEED = 1
LINKS = 32
"""Of each vector in a graph."""
BLOCK = 16_384
"""Vectors handled at once."""
GROWTH = 1.25
"""By which a search is widened until it finds enough."""
RESCORED = 6
"""Candidates for each hit that are compared exactly."""
NEAR_TIE = 1e-5
"""Scores of lists closer than this are computed again, as float32 sums depend on what else is in a block."""


class IndexSettings(NamedTuple):
    """How a pool is searched."""

    kind: Literal["flat", "ivf", "hnsw"]
    lists: int = 0
    """`ivf`: lists of the pool."""
    width: int = 0
    """`ivf`: lists looked into; `hnsw`: length of the queue."""
    rescored: int = 0
    """Candidates that are compared exactly."""


def choose(
    n: int,
    dimensions: int,
    target: float = 0.95,
    *,
    count: int = 20,
    kind: Kind = "auto",
    queries: int | None = None,
) -> IndexSettings:
    """Choose an index by the size of the pool, and where to start its tuning.

    Args:
        n: Vectors in the pool, over all parts, so that the choice does not depend on their number.
        dimensions: Of a vector; codes of fewer than 8 save nothing.
        target: Share of the true nearest that must be found, in (0, 1]. At 1 only `flat` will do.
        count: Hits a query.
        kind: A kind to take instead of the choice.
        queries: If known, how many are asked: learning and filling the lists takes as long as searching all
            vectors for about six queries a list, so that few queries are answered sooner without.

    Raises:
        ValueError: The target is no share.
    """
    if not 0 < target <= 1:
        raise ValueError(f"the recall target is a share above 0 and up to 1, not {target}")
    lists = max(1, min(n, 2 ** round(np.log2(2 * max(n, 1) ** 0.5))))
    if kind == "auto":
        few = queries is not None and queries < PAYS_AFTER * lists
        kind = "flat" if n <= FLAT or target == 1 or few or dimensions < 8 else "ivf"
    if kind == "ivf":
        return IndexSettings("ivf", lists, max(1, lists // 64), RESCORED * count)
    return IndexSettings("hnsw", 0, 64, RESCORED * count) if kind == "hnsw" else IndexSettings("flat")


def learn(sample: Vectors, settings: IndexSettings) -> Any:
    """An empty index that knows its lists and codebooks; the same for the same sample.

    Args:
        sample: (m, d), a sample of the whole pool, at least one vector. `LEARNERS` for each list are enough.
        settings: Of kind `ivf`.
    """
    faiss = single_threaded()
    dimensions = sample.shape[1]
    codes = dimensions // 2 if dimensions % 2 == 0 else dimensions
    quantizer = faiss.IndexFlatIP(dimensions)
    metric = faiss.METRIC_INNER_PRODUCT
    index = faiss.IndexIVFPQ(quantizer, dimensions, settings.lists, codes, 4, metric)
    for learning in (index.cp, index.pq.cp):
        learning.seed, learning.niter, learning.min_points_per_centroid = LEARNING_SEED, 8, 1
    # A codebook of 4 bits has 16 entries, and FAISS refuses to learn more entries than there are vectors.
    times = -(-max(16, settings.lists) // len(sample))
    index.train(np.ascontiguousarray(np.tile(sample, (times, 1))))
    return index


def build(vectors: Vectors, settings: IndexSettings, learned: Any = None) -> Any:
    """Index the vectors of a part by their rows, for `join`.

    Args:
        vectors: (n, d).
        settings: Of kind `ivf` or `hnsw`.
        learned: For `ivf`, what `learn` returned, or a copy of it; it is filled here.
    """
    faiss = single_threaded()
    if settings.kind == "hnsw":
        half = faiss.ScalarQuantizer.QT_fp16
        learned = faiss.IndexHNSWSQ(vectors.shape[1], half, LINKS, faiss.METRIC_INNER_PRODUCT)
        learned.train(vectors[:1])
    for start in range(0, len(vectors), BLOCK):
        block = np.ascontiguousarray(vectors[start : start + BLOCK])
        if settings.kind == "hnsw":
            learned.add(block)
        else:
            rows, lists = np.arange(start, start + len(block)), _lists(learned, block)
            learned.add_core(len(block), *map(faiss.swig_ptr, (block, rows, lists)))
    return learned


def join(indexes: Iterable[Any]) -> Any:
    """The index of a pool from those of its parts, in their order; they are emptied.

    Raises:
        ValueError: Several graphs.
    """
    faiss = single_threaded()
    whole, *others = indexes
    if isinstance(whole, faiss.IndexHNSW):
        if others:
            raise ValueError("graphs cannot be joined; build one of the whole pool")
        return whole
    for other in others:
        whole.merge_from(other, whole.ntotal)
    return faiss.IndexIVFPQFastScan(whole)


def _lists(index: Any, vectors: Vectors) -> npt.NDArray[np.int64]:
    """The list of each vector, whatever else is in the block."""
    scores, lists = index.quantizer.search(vectors, min(4, index.nlist))
    chosen = lists[:, 0].copy()
    centres = index.quantizer.reconstruct_n(0, index.nlist)
    for row in np.flatnonzero((scores[:, :1] - scores[:, 1:] < NEAR_TIE).any(axis=1)):
        near = np.sort(lists[row])
        exact = centres[near].astype(np.float64) @ vectors[row].astype(np.float64)
        chosen[row] = near[np.argmax(np.round(exact, 12))]
    return chosen


def candidates(index: Any, queries: Vectors, settings: IndexSettings) -> list[npt.NDArray[np.int64]]:
    """For each query the sorted rows that are worth an exact comparison.

    With `ivf` they are the `settings.rescored` best by the codes, and all that tie with the last, so that they do
    not depend on the order of the rows.
    """
    pending, k = np.arange(len(queries)), settings.rescored + 16
    found: list[Any] = [None] * len(queries)
    while len(pending):
        if settings.kind == "hnsw":
            index.hnsw.efSearch = max(settings.width, k)
        else:
            index.nprobe = settings.width
        scores, rows = index.search(queries[pending], k)
        last = scores[:, settings.rescored - 1]
        done = (scores[:, -1] < last) | (rows[:, -1] < 0) | (settings.kind == "hnsw")
        for place in np.flatnonzero(done):
            kept = (scores[place] >= last[place]) & (rows[place] >= 0)
            found[pending[place]] = np.sort(rows[place, kept])
        pending, k = pending[~done], 2 * k
    return found


def widened(settings: IndexSettings, n: int) -> IndexSettings | None:
    """The next wider search of a pool of `n`; None if this one misses nothing already."""
    most = settings.lists if settings.kind == "ivf" else n
    if settings.width < most:
        return settings._replace(width=min(most, max(settings.width + 1, int(settings.width * GROWTH))))
    if settings.rescored < n:
        return settings._replace(rescored=min(n, 2 * settings.rescored))
    return None
