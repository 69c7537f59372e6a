"""The measurements themselves: each makes what it needs in a temporary folder and returns its figures."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.dataset as ds

from tests.benchmarks.pool import Pool
from tests.benchmarks.processes import Measured, measure

TWO = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
MEGABYTE = 1_000_000
EMBED_ROUNDS = 2


class Figure(NamedTuple):
    """One line of the result."""

    measurement: str
    value: float
    unit: str
    limit: float | None = None
    """The most that is allowed."""

    @property
    def ok(self) -> bool:
        """Whether the figure is within its limit."""
        return self.limit is None or self.value <= self.limit


class Setting(NamedTuple):
    """Where a measurement works, and on how much."""

    folder: Path
    pool: Pool
    scale: float

    def count(self, full: int) -> int:
        """Scaled, and at least 200: fewer would leave a split without texts."""
        return max(200, round(full * self.scale))


def embedding(setting: Setting) -> list[Figure]:
    """Embedding through the pipeline against a plain open_clip loop on ViT-B-32."""
    count, work, model = setting.count(1024), setting.folder / "embed", setting.folder / "vit"
    _route(setting, count, work)
    shared = ("--work", work / "work", "--model", model)
    measure("tests.benchmarks.embedding", ["--way", "save", *shared])
    seconds = {"pipeline": 0.0, "loop": 0.0}
    for way in ("loop", "pipeline", "pipeline", "loop") * (EMBED_ROUNDS // 2):
        shutil.rmtree(work / "work" / "cache", ignore_errors=True)
        seconds[way] += measure("tests.benchmarks.embedding", ["--way", way, *shared]).said["seconds"]
    images = count * EMBED_ROUNDS
    return [
        Figure(f"embed {count:,} images, pipeline", images / seconds["pipeline"], "images/s"),
        Figure(f"embed {count:,} images, plain open_clip loop", images / seconds["loop"], "images/s"),
        Figure("embedding, time of pipeline / loop", seconds["pipeline"] / seconds["loop"], "x", 1.10),
    ]


def memory(setting: Setting) -> list[Figure]:
    """Peak memory from ingest to write, of the largest process, at two sizes and on both engines."""
    half, full = setting.count(20_000), setting.count(40_000)
    figures = []
    for engine, flags in (("in process", ()), ("2 processes", TWO)):
        peaks = []
        for count in (half, full):
            peaks.append(_route(setting, count, setting.folder / "memory", flags).peaks[0] / MEGABYTE)
            name = f"peak memory, {count:,} images, {engine}"
            figures.append(Figure(name, peaks[-1], "MB", 600.0))
        figures.append(Figure(f"peak memory, {full:,} / {half:,}, {engine}", peaks[1] / peaks[0], "x", 1.1))
    return figures


def writing(setting: Setting) -> list[Figure]:
    """Rows a second from ingest to write, and of the stage `write`, against pyarrow writing the same rows."""
    count, work = setting.count(8_000), setting.folder / "write"
    whole = _route(setting, count, work).said["seconds"]
    stage = _route(setting, count, work, ("--way", "write"), out="again", keep=True).said["seconds"]
    alone = measure(
        "tests.benchmarks.plain_write",
        ["--dataset", work / "out", "--work", work / "work", "--out", work / "plain"],
    ).said["seconds"]
    return [
        Figure(f"ingest to write, {count:,} rows", count / whole, "rows/s"),
        Figure("write alone, pipeline", count / stage, "rows/s"),
        Figure("write alone, pyarrow", count / alone, "rows/s"),
        Figure("ingest to write, time / pyarrow's", whole / alone, "x"),
        Figure("write alone, time / pyarrow's", stage / alone, "x"),
    ]


def processes(setting: Setting) -> list[Figure]:
    """Wall time from ingest to write with two worker processes against one."""
    count, work = setting.count(8_000), setting.folder / "processes"
    one = _route(setting, count, work).said["seconds"]
    two = _route(setting, count, work, TWO).said["seconds"]
    return [
        Figure(f"ingest to write, {count:,} rows, 1 process", one, "s"),
        Figure(f"ingest to write, {count:,} rows, 2 processes", two, "s"),
        Figure("speed of 2 processes / 1", one / two, "x"),
    ]


def retrieval(setting: Setting) -> list[Figure]:
    """An approximate index against exact search, on vectors of an encoder."""
    count = max(60_000, setting.count(200_000))
    said = measure("tests.benchmarks.recall", ["--count", count]).said
    name = f"retrieval among {count:,} vectors"
    return [
        Figure(f"{name}, share of the nearest 20 missed", 1 - said["recall_at_20"], "", 0.05),
        Figure(f"{name}, time / exact search's", said["ratio"], "x", 0.2),
        Figure(f"{name}, 4 shards differ from 1", float(not said["sharded_equals_single"]), "", 0.0),
        Figure(f"{name}, peak memory", said["peak_mb"], "MB"),
    ]


def _route(
    setting: Setting, count: int, work: Path, flags: Any = (), out: str = "out", *, keep: bool = False
) -> Measured:
    """One run in an empty folder (or, with `keep`, over its blobs); every image must come out as a row."""
    if not keep:
        shutil.rmtree(work, ignore_errors=True)
    inputs = ("--images", setting.pool.images, "--texts", setting.pool.texts)
    outputs = ("--work", work / "work", "--out", work / out)
    measured = measure("tests.benchmarks.route", [*inputs, *outputs, "--count", count, *flags])
    rows = ds.dataset(str(work / out / "data")).count_rows()
    if rows != count:
        raise RuntimeError(f"{count} images went in, but {rows} rows were written")
    return measured


MEASUREMENTS: dict[str, tuple[Callable[[Setting], list[Figure]], int]] = {
    "embedding": (embedding, 1024),
    "memory": (memory, 40_000),
    "writing": (writing, 8_000),
    "processes": (processes, 8_000),
    "retrieval": (retrieval, 200),
}
"""Name to the measurement and the images that it needs at full scale."""
