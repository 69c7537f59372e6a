from collections.abc import Callable
from pathlib import Path
from typing import Any

import faiss
import numpy as np
import pytest

from pipelines.stages.indexes import IndexSettings, build, choose, join, learn, widened
from pipelines.stages.parts import (
    Pool,
    open_pool,
    read_index,
    sample,
    smallest,
    write_index,
    write_vectors,
)
from pipelines.stages.queries import shard_of
from pipelines.stages.search import EXACT, nearest, tune

IVF = IndexSettings("ivf", lists=16, width=2, rescored=24)
HNSW = IndexSettings("hnsw", width=32, rescored=24)


def bunched(n: int, dimensions: int = 16, seed: int = 0) -> Any:
    """Unit vectors around forty centres."""
    draw = np.random.default_rng(seed)
    centres = np.random.default_rng(7).normal(size=(40, dimensions)) + 1
    vectors = (centres[draw.integers(0, 40, n)] + draw.normal(size=(n, dimensions)) / 2).astype(np.float32)
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


@pytest.fixture
def pool(tmp_path: Path) -> Callable[..., Pool]:
    """Cut vectors into shards, index each from files, join them, and open all from files."""

    def make(vectors: Any, settings: IndexSettings = IVF, shards: int = 1) -> Pool:
        ids = [f"id{row:05}" for row in range(len(vectors))]
        paths = []
        for shard in range(shards):
            if rows := [row for row, id in enumerate(ids) if shard_of(id, shards) == shard]:
                paths.append(tmp_path / f"{shards}-{shard}")
                write_vectors(paths[-1], [ids[row] for row in rows], [vectors[rows]], vectors.shape[1])
        if settings.kind == "flat":
            return open_pool(paths)
        if settings.kind == "ivf":
            write_index(tmp_path / "learned", learn(sample(open_pool(paths), 640), settings))
        for path, part in zip(paths, open_pool(paths).parts, strict=True):
            learned = read_index(tmp_path / "learned", mapped=False) if settings.kind == "ivf" else None
            write_index(path, build(part.vectors, settings, learned))
        write_index(tmp_path / f"{shards}", join(read_index(path, mapped=False) for path in paths))
        return open_pool(paths, tmp_path / f"{shards}")

    return make


def test_small_pools_are_searched_whole_and_large_ones_by_lists() -> None:
    assert choose(1_000, 512) == IndexSettings("flat")
    assert choose(200_000, 512)[:2] == ("ivf", 1024)
    assert choose(1_000_000, 512)[:2] == ("ivf", 2048)


def test_lists_are_not_built_for_few_queries_or_if_nothing_may_be_missed() -> None:
    assert choose(200_000, 512, queries=1_000).kind == "flat"
    assert choose(200_000, 512, queries=10_000).kind == "ivf"
    assert choose(200_000, 512, target=1).kind == "flat"


def test_a_kind_that_is_asked_for_is_taken_at_any_size() -> None:
    assert choose(1, 6, kind="ivf").lists == 1
    assert choose(10, 6, kind="hnsw").kind == "hnsw"
    assert choose(10**6, 512, kind="flat").kind == "flat"


@pytest.mark.parametrize("target", (0, 1.01, -1))
def test_a_target_that_is_no_share_is_refused(target: float) -> None:
    with pytest.raises(ValueError, match="recall target"):
        choose(10, 6, target)


def test_learning_and_building_twice_gives_the_same_bytes() -> None:
    vectors = bunched(700)
    one, other = (faiss.serialize_index(build(vectors, IVF, learn(vectors, IVF))) for _ in range(2))
    assert one.tobytes() == other.tobytes()


@pytest.mark.parametrize("shards", (3, 5))
def test_shards_find_what_a_single_index_finds(pool: Any, shards: int) -> None:
    vectors, queries = bunched(1500), bunched(40, seed=1)
    whole = nearest(pool(vectors), queries, IVF, 5)
    assert nearest(pool(vectors, shards=shards), queries, IVF, 5) == whole
    assert whole != nearest(pool(vectors), queries, EXACT, 5)


@pytest.mark.parametrize("shards", (1, 3, 5))
def test_ties_come_in_the_order_of_their_ids_however_the_pool_is_cut(pool: Any, shards: int) -> None:
    vectors = np.repeat(bunched(4), 100, axis=0)
    found = nearest(pool(vectors, shards=shards), vectors[::100], IVF, 3)
    assert [[hit.id for hit in hits] for hits in found] == [
        [f"id{100 * copy + place:05}" for place in range(3)] for copy in range(4)
    ]


@pytest.mark.parametrize("settings", (IVF, HNSW))
def test_a_search_is_widened_until_it_finds_enough(pool: Any, settings: IndexSettings) -> None:
    indexed = pool(bunched(3000, 32), settings)
    narrow = settings._replace(width=1, rescored=5)
    tuned = tune(indexed, bunched(100, 32, seed=1), narrow, 5, 0.95)
    assert settings.kind == "hnsw" or tuned.settings.width > 1
    others = bunched(100, 32, seed=2)
    pairs = zip(nearest(indexed, others, EXACT, 5), nearest(indexed, others, tuned.settings, 5), strict=True)
    found = np.mean([len(set(true) & set(hits)) / 5 for true, hits in pairs])
    assert tuned.recall >= 0.95 and found >= 0.93


def test_the_widest_search_misses_nothing(pool: Any) -> None:
    settings, queries, indexed = IVF, bunched(20, seed=1), pool(bunched(300))
    while wider := widened(settings, 300):
        settings = wider
    assert nearest(indexed, queries, settings, 7) == nearest(indexed, queries, EXACT, 7)
    assert tune(indexed, queries, IVF, 7, 1.0).recall == 1


@pytest.mark.parametrize("n", (1, 2, 10))
@pytest.mark.parametrize("settings", (IVF, HNSW))
def test_fewer_vectors_than_lists_are_all_found(pool: Any, n: int, settings: IndexSettings) -> None:
    vectors = bunched(n, 5)
    indexed = pool(vectors, settings)
    tuned = tune(indexed, vectors, settings, n, 1.0)
    assert nearest(indexed, vectors, tuned.settings, 20) == nearest(indexed, vectors, EXACT, 20)


def test_a_query_whose_lists_are_empty_finds_nothing(pool: Any) -> None:
    vectors = bunched(100)
    empty = join([build(vectors[:0], IVF, learn(vectors, IVF))])
    assert nearest(pool(vectors)._replace(index=empty), vectors[:2], IVF, 2) == [[], []]


def test_vectors_are_mapped_and_unchanged(pool: Any) -> None:
    vectors = bunched(50)
    (part,) = pool(vectors, EXACT).parts
    assert isinstance(part.vectors.base, np.memmap)
    assert np.array_equal(part.vectors, vectors)


@pytest.mark.parametrize("shards", (1, 3))
def test_rows_are_taken_from_the_parts_they_are_in(pool: Any, shards: int) -> None:
    cut, vectors = pool(bunched(50), EXACT, shards), bunched(50)
    rows = np.array([0, 17, 18, 49])
    ids = cut.ids(rows)
    assert np.array_equal(cut.vectors(rows, np.empty_like(vectors)), vectors[[int(id[2:]) for id in ids]])
    assert cut.size == 50 and len(set(ids)) == 4


def test_the_sample_does_not_depend_on_the_shards(pool: Any) -> None:
    vectors = bunched(200)
    one, three = (sample(pool(vectors, EXACT, shards), 30) for shards in (1, 3))
    assert np.array_equal(one, three)
    assert one.shape == (30, 16)


def test_a_sample_of_keys_is_the_same_in_any_order() -> None:
    keys = [f"key {number}" for number in range(50)]
    assert smallest(keys, 5) == smallest(keys[::-1], 5) != keys[:5]


def test_graphs_are_not_joined() -> None:
    with pytest.raises(ValueError, match="graphs cannot be joined"):
        join(build(bunched(5), HNSW) for _ in range(2))
