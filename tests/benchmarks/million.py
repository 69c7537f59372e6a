"""Memory and time of retrieval between two pools of a million assets: `python -m tests.benchmarks.million`.

It takes about 10 GB of disk and a long time, so `make bench` leaves it out. Both pools lie
in one split, which is the hardest case: texts are searched with vectors of images, and images with vectors of texts,
by the transform that pairing uses.

The vectors are drawn, not encoded, as encoding would take days here: points around 4,096 centres in 24 dimensions,
laid into 512 with an offset and a little noise. Recall among them says little about recall among real ones (that is
what `recall` measures); memory and time do not depend on what the vectors mean.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

DIMENSIONS, LATENT, CENTRES = 512, 24, 4096
BLOCK = 10_000
HITS, SHARDS = 12, 4
POOLS = {"images": 1, "texts": 2}
"""Name to the number that its vectors are drawn with."""


def fingerprint(pool: str) -> str:
    """Of the embedder that the vectors would be from."""
    return hashlib.sha256(pool.encode()).hexdigest()


def id_of(pool: str, number: int) -> str:
    """The id of an asset."""
    return hashlib.sha256(f"{pool} {number}".encode()).hexdigest()


def ids_of(pool: str, block: tuple[int, int]) -> Iterator[tuple[str, str]]:
    """(split, id) of the assets of a block."""
    return (("train", id_of(pool, number)) for number in range(*block))


def blocks(count: int) -> list[tuple[int, int]]:
    """First and last number (exclusive) of each block."""
    return [(start, min(start + BLOCK, count)) for start in range(0, count, BLOCK)]


def vectors_of(pool: str, block: tuple[int, int]) -> npt.NDArray[np.float32]:
    """The unit vectors of a block, (n, 512)."""
    world = np.random.default_rng(0)
    centres = world.standard_normal((CENTRES, LATENT), dtype=np.float32)
    lay = world.standard_normal((LATENT, DIMENSIONS), dtype=np.float32) / LATENT**0.5
    offset = world.standard_normal(DIMENSIONS, dtype=np.float32) / 2
    own = np.random.default_rng((POOLS[pool], block[0]))
    count = block[1] - block[0]
    points = centres[own.integers(0, CENTRES, count)] + 0.6 * own.standard_normal((count, LATENT), np.float32)
    vectors = points @ lay + offset + 0.1 * own.standard_normal((count, DIMENSIONS), np.float32)
    unit: npt.NDArray[np.float32] = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    return unit


def fill(work: Path, count: int) -> None:
    """Store the vectors of both pools where the stage `embed` would."""
    from pipelines.storage.workspace import Workspace

    for pool in POOLS:
        cache = Workspace(str(work)).cache(fingerprint(pool))
        for block in blocks(count):
            ids = [id for _, id in ids_of(pool, block)]
            cache.put_many({id: v.tobytes() for id, v in zip(ids, vectors_of(pool, block), strict=True)})


def search(work: Path, count: int, queries: int) -> dict[str, Any]:
    """Index both pools and search each with vectors of the other; what was chosen, found and measured."""
    import apache_beam as beam

    from pipelines.engine import choose_engine
    from pipelines.stages.retrieval import Nearest
    from pipelines.storage.workspace import Workspace

    workspace, run_dir = Workspace(str(work)), work / "run"
    run_dir.mkdir()
    pipeline = choose_engine("DirectRunner", []).pipeline()
    for pool, other in (("images", "texts"), ("texts", "images")):
        index = {"shards": SHARDS, "count": HITS, "kind": "ivf", "run_dir": str(run_dir)}
        nearest = Nearest(fingerprint(pool), fingerprint(other), workspace, **index)
        inputs = {
            "assets": pipeline | f"{pool}" >> beam.Create(blocks(count)) | f"Ids{pool}" >> _ids(pool),
            "queries": pipeline | f"Ask{pool}" >> beam.Create(blocks(queries)) | f"Keys{pool}" >> _ids(other),
        }
        found = (
            inputs | f"Search{pool}" >> nearest | f"Hits{pool}" >> beam.MapTuple(lambda _, hits: len(hits))
        )
        _ = found | f"Count{pool}" >> beam.Map(_tell, pool)
    result = pipeline.run()
    result.wait_until_finish()
    hits = {c.key.metric.name: c.result for c in result.metrics().query()["counters"]}
    said = [json.loads(path.read_text(encoding="utf-8")) for path in sorted(run_dir.glob("recall-*.json"))]
    return {"hits": {pool: hits.get(pool, 0) for pool in POOLS}, "indexes": said}


def _ids(pool: str) -> Any:
    import apache_beam as beam

    return beam.FlatMap(lambda block: ids_of(pool, block))


def _tell(hits: int, pool: str) -> None:
    from apache_beam.metrics.metric import Metrics

    Metrics.counter("million", pool).inc(hits)


def main(argv: Sequence[str] | None = None) -> int:
    """Fill or search, and print a line of JSON; without `--way` both, each in a process whose memory is measured."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.million", description=__doc__)
    parser.add_argument("--way", choices=("fill", "search"), help="this alone, in this process")
    parser.add_argument("--work", type=Path, required=True, help="an empty folder with 10 GB of room")
    parser.add_argument(
        "--count", type=int, default=1_000_000, help="assets in each pool (default: %(default)s)"
    )
    parser.add_argument(
        "--queries", type=int, default=20_000, help="asked of each pool (default: %(default)s)"
    )
    arguments = parser.parse_args(argv)
    work, count, queries = arguments.work, arguments.count, arguments.queries
    started = time.perf_counter()
    if arguments.way == "fill":
        fill(work, count)
        said: dict[str, Any] = {}
    elif arguments.way == "search":
        said = search(work, count, queries)
    else:
        from tests.benchmarks.processes import measure

        size = ("--work", work, "--count", count, "--queries", queries)
        measure("tests.benchmarks.million", ["--way", "fill", *size])
        measured = measure("tests.benchmarks.million", ["--way", "search", *size])
        said = {**measured.said, "peak_mb": round(sum(measured.peaks) / 1e6)}
    said.setdefault("seconds", round(time.perf_counter() - started, 1))
    sys.stdout.write(json.dumps({"count": count, "queries": queries, **said}) + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
