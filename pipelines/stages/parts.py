"""Parts of a pool: ids and vectors in, files out that are mapped into memory when they are opened.

The rows of a pool are those of its parts, one part after the other.
"""

from __future__ import annotations

import hashlib
import heapq
import os
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.stages.embed import Vectors


class Part(NamedTuple):
    """An opened shard of a pool."""

    ids: npt.NDArray[np.bytes_]
    """(n,) sorted."""
    vectors: Vectors
    """(n, d), mapped."""


class Pool(NamedTuple):
    """An opened pool."""

    parts: list[Part]
    index: Any = None
    """FAISS index of the pool's rows; None if it is searched without."""

    @property
    def size(self) -> int:
        """Vectors in all parts."""
        return sum(len(part.ids) for part in self.parts)

    def vectors(self, rows: npt.NDArray[np.int64], out: Vectors) -> Vectors:
        """The vectors of some rows, which must be sorted, (r, d): the first rows of `out`, which is used again."""
        for part, within, places in self._located(rows):
            # Any mode but "raise" writes to `out` without a copy between.
            np.take(part.vectors, within, axis=0, out=out[places], mode="clip")
        return out[: len(rows)]

    def ids(self, rows: npt.NDArray[np.int64]) -> list[str]:
        """The ids of some rows, which must be sorted."""
        return [id.decode() for part, within, _ in self._located(rows) for id in part.ids[within].tolist()]

    def _located(self, rows: npt.NDArray[np.int64]) -> Iterator[tuple[Part, npt.NDArray[np.int64], slice]]:
        """Each part with the rows that are in it, numbered from its start, and their places among all rows."""
        start = first = 0
        for part in self.parts:
            last = int(np.searchsorted(rows, start + len(part.ids)))
            yield part, rows[first:last] - start, slice(first, last)
            start, first = start + len(part.ids), last

    def blocks(self, size: int) -> Iterator[tuple[list[str], Vectors]]:
        """Ids and vectors of all rows, up to `size` at once."""
        for part in self.parts:
            for start in range(0, len(part.ids), size):
                ids = [id.decode() for id in part.ids[start : start + size].tolist()]
                yield ids, part.vectors[start : start + size]


def write_vectors(path: Path, ids: Sequence[str], blocks: Iterable[Vectors], dimensions: int) -> None:
    """Write a part's ids and vectors, a block at a time, so that memory does not follow their number.

    Args:
        path: The part's, without an ending.
        ids: Sorted.
        blocks: Their vectors, in order, each (some, d).
        dimensions: d.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = _file(path, f"{os.getpid()}.partial")
    with partial.open("wb") as file:
        shape = {"descr": "<f4", "fortran_order": False, "shape": (len(ids), dimensions)}
        np.lib.format.write_array_header_1_0(file, shape)
        for block in blocks:
            block.astype("<f4", copy=False).tofile(file)
    os.replace(partial, _file(path, "vectors.npy"))
    with partial.open("wb") as file:
        np.save(file, np.array([id.encode() for id in ids]))
    os.replace(partial, _file(path, "ids.npy"))


def write_index(path: Path, index: Any) -> None:
    """Write a FAISS index, as a whole or not at all."""
    partial = _file(path, f"{os.getpid()}.partial")
    single_threaded().write_index(index, str(partial))
    os.replace(partial, _file(path, "faiss"))


def read_index(path: Path, *, mapped: bool = True) -> Any:
    """What `write_index` wrote; mapped, what FAISS can map of it stays on disk, and it cannot be added to."""
    faiss = single_threaded()
    return faiss.read_index(str(_file(path, "faiss")), faiss.IO_FLAG_MMAP_IFC if mapped else 0)


def open_pool(parts: Iterable[Path], index: Path | None = None) -> Pool:
    """The parts that `write_vectors` wrote, in this order, and the index of all if there is one."""
    mapped = [[np.load(_file(path, f"{name}.npy"), mmap_mode="r") for name in Part._fields] for path in parts]
    # Plain views of the maps are faster to index.
    opened = [Part(*map(np.asarray, part)) for part in mapped]
    return Pool(opened, None if index is None else read_index(index))


def smallest(keys: Iterable[str], count: int) -> list[str]:
    """A sample of keys in an order of its own: those of the smallest hashes."""
    return heapq.nsmallest(count, keys, key=_draw)


def sample(pool: Pool, count: int) -> Vectors:
    """Vectors of a sample of a pool, (up to `count`, d); it does not depend on how the pool is cut."""
    every = ((id, part.vectors, row) for part in pool.parts for row, id in enumerate(part.ids))
    drawn = heapq.nsmallest(count, every, key=lambda place: hashlib.sha256(place[0]).digest())
    return np.stack([vectors[row] for _, vectors, row in drawn])


def _draw(key: str) -> bytes:
    return hashlib.sha256(key.encode()).digest()


def _file(path: Path, ending: str) -> Path:
    return path.with_name(f"{path.name}.{ending}")


def single_threaded() -> Any:
    """FAISS, with one thread: workers are processes, and the order of sums must not depend on threads."""
    import faiss

    faiss.omp_set_num_threads(1)
    return faiss
