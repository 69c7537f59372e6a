"""Recall and time of the search at size, against exact search: `python -m tests.benchmarks.recall --count 200000`.

The vectors are made by an encoder from sentences, as those of a build are: utterances of tinyworld's grammar, a small
transformer of random weights over their words (attention, mean over the words), and a projection to 512 dimensions.
Like those of a trained text encoder they are bunched in a cone, clustered by what the sentences share, and spread
over few dimensions: `cone` is the squared length of their mean, `local_dimension` the number of dimensions in which
the 100 nearest neighbours of a query lie (Levina and Bickel 2004). Uniform noise would have 0 and some 200.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import re
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.stages.indexes import LEARNERS, IndexSettings, build, choose, join, learn
from pipelines.stages.parts import (
    Pool,
    open_pool,
    read_index,
    sample,
    single_threaded,
    write_index,
    write_vectors,
)
from pipelines.stages.queries import shard_of
from pipelines.stages.search import EXACT, Hit, nearest, tune
from tests.benchmarks.processes import peak_of

DIMENSIONS, WIDTH, WORDS, LONGEST = 512, 128, 8192, 64
HITS, ASKED, TUNED_ON, SHARDS = 20, 1000, 400, 4
RECALL = 0.95
"""What has to be reached."""
Vectors = npt.NDArray[np.float32]


def sentences(count: int) -> list[str]:
    """Distinct utterances, shuffled by their hashes."""
    from generators.tinyworld.grammar import utter

    texts: dict[str, None] = {}
    seed = 0
    while len(texts) < count:
        texts.setdefault(utter(seed).text)
        seed += 1
    return sorted(texts, key=lambda text: hashlib.sha256(text.encode()).digest())


def tokens(text: str) -> list[int]:
    """Words and marks as numbers from 1 on, by their hashes."""
    words = re.findall(r"\w+|[^\w\s]", text.lower())[:LONGEST]
    return [
        1 + int.from_bytes(hashlib.sha256(word.encode()).digest()[:4], "little") % (WORDS - 1)
        for word in words
    ]


def encoder() -> Any:
    """A transformer of random weights: token numbers (batch, words), 0 for none, to unit vectors (batch, 512)."""
    import torch
    from torch import nn

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(WORDS, WIDTH)
            self.places = nn.Parameter(torch.randn(LONGEST, WIDTH) / 2)
            self.block = nn.TransformerEncoderLayer(
                WIDTH, 4, 2 * WIDTH, 0.0, batch_first=True, norm_first=True
            )
            self.out = nn.Sequential(
                nn.LayerNorm(WIDTH),
                nn.Linear(WIDTH, DIMENSIONS),
                nn.GELU(),
                nn.Linear(DIMENSIONS, DIMENSIONS),
            )

        def forward(self, numbers: Any) -> Any:
            none = numbers == 0
            states = self.block(
                self.words(numbers) + self.places[: numbers.shape[1]], src_key_padding_mask=none
            )
            states = states.masked_fill(none[..., None], 0).sum(1) / (~none).sum(1, keepdim=True)
            return nn.functional.normalize(self.out(states), dim=1)

    torch.manual_seed(0)
    made = Encoder().eval()
    for weight in made.parameters():
        if weight.dim() > 1 and weight.shape[0] != WORDS:
            nn.init.normal_(weight, std=1.5 / weight.shape[1] ** 0.5)
    return made


def encode(texts: Sequence[str]) -> Vectors:
    """The vectors of sentences, (n, 512)."""
    import torch

    numbers = [tokens(text) for text in texts]
    order, made = sorted(range(len(texts)), key=lambda place: len(numbers[place])), encoder()
    vectors = np.empty((len(texts), DIMENSIONS), dtype=np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), 512):
            places = order[start : start + 512]
            longest = len(numbers[places[-1]])
            batch = [numbers[place] + [0] * (longest - len(numbers[place])) for place in places]
            vectors[places] = made(torch.tensor(batch)).numpy()
    return vectors


def cut(folder: Path, ids: Sequence[str], vectors: Vectors, shards: int) -> list[Path]:
    """Write a pool as parts, by the hash of the id as the stage does."""
    paths = []
    for shard in range(shards):
        rows = sorted(
            (row for row, id in enumerate(ids) if shard_of(id, shards) == shard), key=lambda row: ids[row]
        )
        paths.append(folder / f"of-{shards}-{shard}")
        write_vectors(paths[-1], [ids[row] for row in rows], iter([vectors[rows]]), DIMENSIONS)
    return paths


def index(folder: Path, paths: Sequence[Path], settings: IndexSettings) -> Pool:
    """Learn the lists, index the parts, and join them as the stage does."""
    if settings.kind == "ivf":
        drawn = sample(open_pool(paths), LEARNERS * settings.lists)
        write_index(folder / "learned", learn(drawn, settings))
    for path, part in zip(paths, open_pool(paths).parts, strict=True):
        learned = read_index(folder / "learned", mapped=False) if settings.kind == "ivf" else None
        write_index(path, build(part.vectors, settings, learned))
    write_index(folder / "whole", join(read_index(path, mapped=False) for path in paths))
    return open_pool(paths, folder / "whole")


def shape(vectors: Vectors, queries: Vectors) -> dict[str, float]:
    """How bunched and how many-dimensional the vectors are."""
    faiss = single_threaded()
    scores, _ = faiss.knn(queries[:200], vectors, 100, metric=faiss.METRIC_INNER_PRODUCT)
    apart = np.sqrt(np.maximum(2 - 2 * scores, 1e-12))
    local = -1 / np.log(apart[:, :-1] / apart[:, -1:]).mean(axis=1)
    cone = float(np.square(vectors.mean(axis=0)).sum())
    return {"cone": round(cone, 3), "local_dimension": round(float(np.median(local)), 1)}


def measure(folder: Path, vectors: Vectors, kind: Any) -> dict[str, Any]:
    """All figures; times are of one thread, in seconds of its processor time."""
    queries, spare, pool = np.split(vectors, [ASKED, ASKED + TUNED_ON])
    ids = [hashlib.sha256(str(row).encode()).hexdigest() for row in range(len(pool))]
    settings = choose(len(pool), DIMENSIONS, count=HITS, kind=kind)
    whole, shards = cut(folder, ids, pool, 1), cut(folder, ids, pool, SHARDS)
    figures: dict[str, Any] = {"count": len(pool), **shape(pool, queries)}
    (_, rows), figures["exact_s"] = timed(flat(pool).search, queries, HITS)
    truth = [[ids[row] for row in near] for near in rows]
    indexed, figures["build_s"] = timed(index, folder, whole, settings)
    tuned, figures["tune_s"] = timed(tune, indexed, spare, settings, HITS, RECALL)
    found, figures["approximate_s"] = timed(nearest, indexed, queries, tuned.settings, HITS)
    figures |= {
        **tuned.settings._asdict(),
        "tuned_recall": tuned.recall,
        "recall_at_20": recall(truth, found),
    }
    figures["ratio"] = round(figures["approximate_s"] / figures["exact_s"], 4)
    if settings.kind != "hnsw":
        indexed = index(folder, shards, settings)
        # As tuning did with the single one: the first look at a page of a mapped file costs extra.
        nearest(indexed, queries[:1], EXACT, HITS)
        sharded, figures["sharded_s"] = timed(nearest, indexed, queries, tuned.settings, HITS)
        figures["sharded_equals_single"] = sharded == found
    return figures


def flat(vectors: Vectors) -> Any:
    """FAISS's exact index, with the vectors in memory."""
    made = single_threaded().IndexFlatIP(DIMENSIONS)
    made.add(vectors)
    return made


def timed(function: Callable[..., Any], *arguments: Any) -> tuple[Any, float]:
    """What a function returns, and the processor time that it took, in seconds."""
    started = time.process_time()
    result = function(*arguments)
    return result, round(time.process_time() - started, 3)


def recall(truth: list[list[str]], found: list[list[Hit]]) -> float:
    """Share of the true nearest that was found."""
    shared = sum(len(set(true) & {hit.id for hit in hits}) for true, hits in zip(truth, found, strict=True))
    return round(shared / sum(map(len, truth)), 4)


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print a line of JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--count", type=int, default=200_000, help="vectors in the pool (default: %(default)s)"
    )
    parser.add_argument("--kind", choices=("auto", "ivf", "hnsw"), default="ivf")
    parser.add_argument(
        "--vectors", type=Path, help="a .npy file to keep the vectors in, and to read them from"
    )
    arguments = parser.parse_args(argv)
    started = time.perf_counter()
    vectors = made(arguments.count + ASKED + TUNED_ON, arguments.vectors)
    seconds = time.perf_counter() - started
    with tempfile.TemporaryDirectory() as folder:
        figures = measure(Path(folder), vectors, arguments.kind)
    figures |= {"encode_s": round(seconds, 1), "peak_mb": round(peak_of(os.getpid()) / 1e6)}
    sys.stdout.write(json.dumps(figures) + "\n")
    return 0


def made(count: int, path: Path | None) -> Vectors:
    """The vectors, from the file if it is there."""
    if path and path.exists():
        return np.load(path)
    vectors = encode(sentences(count))
    if path:
        np.save(path, vectors)
    return vectors


if __name__ == "__main__":
    sys.exit(main())
