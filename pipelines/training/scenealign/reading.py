"""Scene graphs of a dataset's split: tinyworld's from what drew them, others' from what looks at them, remembered."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from pipelines.training.scenealign.graph import NoGraph, SceneGraph
from pipelines.training.scenealign.judged import judged_graphs
from pipelines.training.scenealign.scenes import tinyworld_graph
from pipelines.training.scenealign.sight import Sight

SCENE_COLUMNS = ("id", "image_id", "image_generator", "image_prompt", "image_seed")
"""What of a row tells the scene of its picture."""
CHUNK = 64
"""Pictures that are looked at between two writes."""
Graphs = Mapping[str, SceneGraph | NoGraph]
Track = Callable[[Iterable[Any], str, int], Iterable[Any]]


def read_graphs(
    dataset: Path,
    split: str,
    sight: Sight | None = None,
    *,
    attempts: int = 3,
    memory: Path | None = None,
    track: Track = lambda items, what, total: items,
) -> dict[str, SceneGraph | NoGraph]:
    """Scene graphs of a split by the id of the pair.

    Args:
        dataset: The folder of a dataset.
        split: As in `load_examples`.
        sight: Looks at pictures that are not tinyworld's, at each once; without it they have no graph.
        attempts: Tries of one picture.
        memory: A file of JSON lines, where graphs are looked up and to which new ones are added.
        track: Shows progress.
    """
    rows = list(_rows(dataset, split, SCENE_COLUMNS))
    graphs = {row["id"]: tinyworld_graph(row) for row in rows}
    foreign = {row["image_id"] for row in rows if _is_foreign(graphs[row["id"]])}
    if sight is None or not foreign:
        return graphs
    seen = {id: graph for id, graph in _remembered(memory).items() if id in foreign}
    images = {
        row["image_id"]: row["image"]["bytes"]
        for row in _rows(dataset, split, ("image_id", "image"))
        if row["image_id"] in foreign - set(seen)
    }
    ids = sorted(images)
    starts = range(0, len(ids), CHUNK)
    for start in track(starts, f"looking at pictures of {split}", len(starts)):
        new = judged_graphs({id: images[id] for id in ids[start : start + CHUNK]}, sight, attempts)
        _remember(memory, new)
        seen |= new
    return graphs | {row["id"]: seen[row["image_id"]] for row in rows if row["image_id"] in foreign}


def _is_foreign(graph: SceneGraph | NoGraph) -> bool:
    return isinstance(graph, NoGraph) and graph.reason == "no_scene"


def _rows(dataset: Path, split: str, columns: Sequence[str]) -> Iterable[dict[str, Any]]:
    for file in sorted((dataset / "data").glob(f"{split}-*.parquet")):
        with pq.ParquetFile(file) as shard:
            names = [name for name in columns if name in shard.schema_arrow.names]
            for batch in shard.iter_batches(batch_size=256, columns=names):
                yield from batch.to_pylist()


def _remembered(memory: Path | None) -> dict[str, SceneGraph | NoGraph]:
    """By the image's id; a last line that a kill cut in two is left out."""
    if memory is None or not memory.is_file():
        return {}
    found: dict[str, SceneGraph | NoGraph] = {}
    for line in memory.read_text(encoding="utf-8").split("\n")[:-1]:
        entry = json.loads(line)
        graph = entry["graph"]
        found[entry["image_id"]] = SceneGraph.model_validate(graph) if graph else NoGraph(*entry["why"])
    return found


def _remember(memory: Path | None, graphs: Graphs) -> None:
    """Keep graphs and the reasons for none; a picture that nothing answered about is asked again another time."""
    if memory is None:
        return
    entries = [
        {"image_id": id, "graph": None, "why": list(graph)}
        if isinstance(graph, NoGraph)
        else {"image_id": id, "graph": graph.model_dump(mode="json")}
        for id, graph in graphs.items()
        if not (isinstance(graph, NoGraph) and graph.reason == "no_answer")
    ]
    if memory.is_file():
        whole = memory.read_bytes().rpartition(b"\n")
        os.truncate(memory, len(whole[0]) + len(whole[1]))
    with memory.open("a", encoding="utf-8") as lines:
        lines.writelines(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries)
