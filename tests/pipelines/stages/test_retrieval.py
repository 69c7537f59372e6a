import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages.embed import Embed
from pipelines.stages.retrieval import Away, Hit, Nearest, rank, search, shard_of


def unit(rows: Any) -> Any:
    rows = np.asarray(rows, dtype=np.float32)
    return rows / np.linalg.norm(rows, axis=1, keepdims=True)


@given(
    seed=st.integers(0, 999),
    size=st.integers(1, 120),
    count=st.integers(1, 9),
    shards=st.integers(1, 5),
    levels=st.integers(1, 4),
)
@settings(max_examples=60, deadline=None)
def test_merged_shards_find_what_a_single_index_finds(
    seed: int, size: int, count: int, shards: int, levels: int
) -> None:
    # Few distinct coordinates make many exact ties.
    draw = np.random.default_rng(seed)
    vectors = unit(draw.integers(0, levels, (size, 4)) + 0.5)
    queries = unit(draw.normal(size=(3, 4)))
    ids = [f"id{i:03}" for i in range(size)]
    whole = search(ids, vectors, queries, count)
    merged: list[list[Hit]] = [[], [], []]
    for shard in range(shards):
        rows = [i for i, id in enumerate(ids) if shard_of(id, shards) == shard]
        if rows:
            found = search([ids[i] for i in rows], vectors[rows], queries, count)
            merged = [old + new for old, new in zip(merged, found, strict=True)]
    assert [sorted(hits, key=rank)[:count] for hits in merged] == whole


@given(seed=st.integers(0, 999), size=st.integers(1, 60), count=st.integers(1, 9))
@settings(max_examples=40, deadline=None)
def test_search_agrees_with_sorting_all_cosines(seed: int, size: int, count: int) -> None:
    draw = np.random.default_rng(seed)
    vectors, query = unit(draw.normal(size=(size, 5))), unit(draw.normal(size=(1, 5)))
    cosines = vectors.astype(float) @ query[0].astype(float)
    hits = [Hit(round(float(cosine), 4), f"id{i:03}") for i, cosine in enumerate(cosines)]
    assert search([f"id{i:03}" for i in range(size)], vectors, query, count) == [
        sorted(hits, key=rank)[:count]
    ]


def test_equal_vectors_come_in_the_order_of_their_ids() -> None:
    ids = [f"id{i:03}" for i in range(100)]
    (hits,) = search(ids, unit(np.ones((100, 3))), unit(np.ones((1, 3))), 3)
    assert hits == [Hit(1.0, "id000"), Hit(1.0, "id001"), Hit(1.0, "id002")]


@pytest.fixture
def found(run: Any, text: Any, text_vectors: Any, workspace: Any, tally: Any) -> Any:
    """Neighbours of texts in two splits, each asked for its own neighbours."""
    assets = [text(f"text {i}", split) for i in range(30) for split in ("train", "test")]
    assets = [asset._replace(id=f"{asset.id}{asset.split}") for asset in assets]
    run(Embed(text_vectors, "text", workspace, tally), assets)

    def neighbours(
        shards: int, weight: float | None = None, order: int = 1, **index: Any
    ) -> dict[Any, list[Hit]]:
        print_ = text_vectors.fingerprint()
        away = None if weight is None else Away(print_, weight)
        nearest = Nearest(print_, print_, workspace, shards=shards, count=4, away=away, **index)
        keyed = [(asset.split, asset.id) for asset in assets][::order]
        beside = "" if weight is None else f"-{assets[0].id}"
        queries = [(split, f"{id}{beside}") for split, id in keyed]
        return dict(run(nearest, {"assets": keyed, "queries": queries})["out"])

    return neighbours


def test_the_number_of_shards_and_the_order_do_not_matter(found: Any) -> None:
    assert found(1) == found(5, order=-1)
    assert found(1, 0.7) == found(5, 0.7, order=-1)


def test_an_asset_is_its_own_neighbour_unless_the_query_looks_away(found: Any) -> None:
    assert all(hits[0].id == key or hits[0].score == 1 for (_, key), hits in found(3).items())
    for (_, key), hits in found(3, 0.0).items():
        assert key.split("-")[0] not in {hit.id for hit in hits}


def test_looking_away_from_something_keeps_it_from_being_found(found: Any) -> None:
    shunned = {key.split("-")[1] for _, key in found(3, 0.0)}
    near, away = (sum(hit.id in shunned for hits in found(3, w).values() for hit in hits) for w in (0.0, 3.0))
    assert near > 0 == away


def test_neighbours_are_of_the_same_split(found: Any) -> None:
    hits_of = found(3)
    assert len(hits_of) == 60
    assert all(hit.id.endswith(split) for (split, _), hits in hits_of.items() for hit in hits)


def test_small_pools_are_searched_by_way_of_files_as_in_memory(found: Any, tmp_path: Path) -> None:
    assert found(3, run_dir=str(tmp_path)) == found(3)
    assert found(3, 0.7, run_dir=str(tmp_path)) == found(3, 0.7)


def test_an_index_of_lists_gives_the_same_whatever_the_shards(found: Any, tmp_path: Path) -> None:
    index = {"kind": "ivf", "run_dir": str(tmp_path), "target": 0.5}
    assert found(1, **index) == found(3, order=-1, **index)


def test_a_graph_is_one_whatever_the_shards(found: Any, tmp_path: Path) -> None:
    assert found(3, kind="hnsw", run_dir=str(tmp_path)) == found(3)


def test_the_recall_of_every_split_is_reported(found: Any, tmp_path: Path) -> None:
    found(2, kind="ivf", run_dir=str(tmp_path), target=0.9)
    said = {json.loads(path.read_text())["split"]: path for path in tmp_path.glob("recall-*.json")}
    assert set(said) == {"train", "test"}
    train = json.loads(said["train"].read_text())
    assert train["recall"] >= 0.9
    assert (train["vectors"], train["measured_on"], train["kind"]) == (30, 30, "ivf")


def test_an_index_without_a_folder_is_refused(workspace: Any) -> None:
    with pytest.raises(ValueError, match="needs a run_dir"):
        Nearest("a", "b", workspace, shards=1, count=1, kind="ivf")
