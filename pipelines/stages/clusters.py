"""Near-duplicate clustering: sketches of assets in, a link to its cluster for each that has a near copy."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import pairwise
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

PERMUTATIONS = 128
BUCKET = 512
"""In a larger MinHash bucket each text is compared with this many that follow it, not with all."""
_QUERIES = 256


class Sketch(NamedTuple):
    """What is compared of one asset: its id and a few hundred bytes."""

    id: str
    exact: bytes
    """PDQ bits of an image; of a text its sorted 4-byte shingle hashes. Equal bytes are at distance 0."""
    bands: bytes = b""
    """MinHash band keys of a text, 2 bytes each."""


class Link(NamedTuple):
    """One asset that has a near copy."""

    id: str
    root: str
    """The smallest id it is connected with, as far as this comparison saw."""
    score: float
    """PDQ distance, or Jaccard similarity, to its nearest near copy."""


Join = Callable[[int, NDArray[np.int64], NDArray[np.float64]], None]
"""Called with a sketch's index, the indices of its near copies, and their scores."""


class Components:
    """Connected components of the sketches 0..n-1, each labelled by its smallest index (quick-find)."""

    def __init__(self, size: int, nearest: Any) -> None:
        self.root = np.arange(size)
        self.score = np.full(size, np.nan)
        self._nearest = nearest

    def join(self, index: int, others: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
        """Connect `index` with `others`, and keep for each the best score seen."""
        self.score[others] = self._nearest(self.score[others], scores)
        self.score[index] = self._nearest(self.score[index], self._nearest.reduce(scores))
        roots = np.unique(np.append(self.root[others], self.root[index]))
        if len(roots) > 1:
            self.root[np.isin(self.root, roots[1:])] = roots[0]


def image_sketch(id: str, pdq: str) -> Sketch:
    """The sketch of an image from its PDQ hash (64 hex digits); ValueError if it is no such hash."""
    bits = bytes.fromhex(pdq)
    if len(bits) != 32:
        raise ValueError(f"image {id} has a PDQ hash of {len(bits)} bytes instead of 32")
    return Sketch(id, bits)


def shingles(text: str) -> list[str]:
    """Casefolded word 3-shingles; of a text with fewer than 3 words the whole is the only one."""
    words = re.findall(r"\w+", text.casefold())
    if len(words) < 3:
        return [" ".join(text.casefold().split())]
    return sorted({" ".join(words[i : i + 3]) for i in range(len(words) - 2)})


def band_rows(similarity: float) -> int:
    """The most MinHash rows a band may have so that a pair at `similarity` is missed once in 1,000."""
    fits = (r for r in range(16, 0, -1) if (1 - similarity**r) ** (PERMUTATIONS // r) <= 1e-3)
    return next(fits, 1)


def text_sketch(id: str, text: str, similarity: float) -> Sketch:
    """The sketch of a text: shingle hashes for exact Jaccard, MinHash (Broder 1997) bands for candidates."""
    digests = sorted(
        hashlib.blake2b(s.encode("utf-8", "replace"), digest_size=4).digest() for s in shingles(text)
    )
    minhash = _empty_minhash().copy()
    minhash.update_batch(digests)
    rows = band_rows(similarity)
    bands = minhash.hashvalues.astype(np.uint64)[: PERMUTATIONS // rows * rows].reshape(-1, rows)
    mixed = (bands * _multipliers(rows)).sum(axis=1, dtype=np.uint64) >> np.uint64(48)
    return Sketch(id, b"".join(digests), mixed.astype(np.uint16).tobytes())


@lru_cache(maxsize=1)
def _empty_minhash() -> Any:
    from datasketch import MinHash

    return MinHash(num_perm=PERMUTATIONS, seed=1, hashfunc=_low_32_bits)


def _low_32_bits(digest: bytes) -> int:
    return int.from_bytes(digest[:4], "little")


@lru_cache(maxsize=16)
def _multipliers(rows: int) -> NDArray[np.uint64]:
    digests = b"".join(hashlib.sha256(f"band row {row}".encode()).digest()[:8] for row in range(rows))
    return np.frombuffer(digests, np.uint64) | np.uint64(1)


def near_images(left: Sequence[Sketch], right: Sequence[Sketch] | None, distance: int) -> list[Link]:
    """Links between all images of `left` and `right` (None: within `left`) at most `distance` bits apart.

    The search is exhaustive (no pair is missed at any distance; 0.5 ns a pair) and runs in blocks, so that
    memory does not follow the number of pairs found.
    """
    import faiss

    def search(first: list[bytes], second: list[bytes] | None, join: Join) -> None:
        index, offset = faiss.IndexBinaryFlat(256), 0 if second is None else len(first)
        index.add(_bits(first if second is None else second))
        for start in range(0, len(first), _QUERIES):
            ends, scores, found = index.range_search(_bits(first[start : start + _QUERIES]), distance + 1)
            for row, (a, b) in enumerate(pairwise(ends)):
                join(start + row, found[a:b].astype(np.int64) + offset, scores[a:b].astype(np.float64))

    return _links(left, right, search, np.fmin, 0.0)


def _bits(hashes: Sequence[bytes]) -> NDArray[np.uint8]:
    return np.frombuffer(b"".join(hashes), np.uint8).reshape(-1, 32)


def near_texts(left: Sequence[Sketch], right: Sequence[Sketch] | None, similarity: float) -> list[Link]:
    """Links between the texts of `left` and `right` (None: within `left`) of at least `similarity`.

    Candidates agree in a MinHash band; each is verified by the exact Jaccard similarity of the shingle sets.
    So no link is false, and a pair at the threshold is missed once in 1,000 (see `BUCKET` for the one bound).
    """
    bands = {sketch.exact: sketch.bands for sketch in [*left, *(right or ())]}

    def search(first: list[bytes], second: list[bytes] | None, join: Join) -> None:
        both = first + (second or [])
        keys = np.array([np.frombuffer(bands[exact], np.uint16) for exact in both])
        for i, j in _candidates(keys, 0 if second is None else len(first)):
            score = jaccard(both[i], both[j])
            if score >= similarity:
                join(i, np.array([j]), np.array([score]))

    return _links(left, right, search, np.fmax, 1.0)


def jaccard(one: bytes, other: bytes) -> float:
    """Jaccard similarity of two sets of 4-byte shingle hashes."""
    shared = len(_shingle_set(one) & _shingle_set(other))
    return shared / ((len(one) + len(other)) // 4 - shared)


@lru_cache(maxsize=4096)
def _shingle_set(exact: bytes) -> frozenset[int]:
    return frozenset(np.frombuffer(exact, np.uint32).tolist())


def _candidates(keys: NDArray[np.uint16], border: int) -> Iterator[tuple[int, int]]:
    """Pairs of rows that agree in a band, once each; with a border only pairs on either side of it."""
    for band in range(keys.shape[1]):
        order = np.argsort(keys[:, band], kind="stable")
        cuts = np.flatnonzero(np.diff(keys[order, band])) + 1
        starts, ends = np.append(0, cuts), np.append(cuts, len(order))
        for start, end in zip(starts[ends - starts > 1], ends[ends - starts > 1], strict=True):
            bucket = order[start:end]
            for place, i in enumerate(bucket[:-1]):
                others = bucket[place + 1 : place + 1 + BUCKET]
                others = others[(i < border) & (others >= border)] if border else others
                fresh = ~(keys[others, :band] == keys[i, :band]).any(axis=1)
                yield from ((int(i), int(j)) for j in others[fresh])


def _links(
    left: Sequence[Sketch],
    right: Sequence[Sketch] | None,
    search: Callable[[list[bytes], list[bytes] | None, Join], None],
    nearest: Any,
    same: float,
) -> list[Link]:
    """Search distinct hashes only, so that many copies cost no quadratic work, and link their owners."""
    sides = [_owners(left)] + ([] if right is None else [_owners(right)])
    groups = [ids for side in sides for ids in side.values()]
    if not all(sides):
        return []
    components = Components(len(groups), nearest)

    def join(index: int, others: NDArray[np.int64], scores: NDArray[np.float64]) -> None:
        keep = others != index
        if keep.any():
            components.join(index, others[keep], scores[keep])

    search(list(sides[0]), list(sides[1]) if right is not None else None, join)
    return list(_resolve(groups, components, same))


def _owners(sketches: Iterable[Sketch]) -> dict[bytes, list[str]]:
    owners: dict[bytes, set[str]] = {}
    for sketch in sketches:
        owners.setdefault(sketch.exact, set()).add(sketch.id)
    return {exact: sorted(owners[exact]) for exact in sorted(owners)}


def _resolve(groups: list[list[str]], components: Components, same: float) -> Iterator[Link]:
    smallest: dict[int, str] = {}
    for ids, root in zip(groups, components.root.tolist(), strict=True):
        smallest[root] = min(ids[0], smallest.get(root, ids[0]))
    for ids, root, score in zip(groups, components.root.tolist(), components.score.tolist(), strict=True):
        if len(ids) > 1 or not math.isnan(score):
            yield from (Link(id, smallest[root], same if len(ids) > 1 else score) for id in ids)


def clusters(links: Iterable[Link], nearest: Callable[[float, float], float]) -> dict[str, tuple[str, float]]:
    """Union-find over all links: linked id -> (smallest id of its cluster, score to its nearest copy)."""
    parent: dict[str, str] = {}
    scores: dict[str, float] = {}

    def find(id: str) -> str:
        while parent.setdefault(id, id) != id:
            parent[id] = id = parent[parent[id]]
        return id

    for link in links:
        small, large = sorted((find(link.id), find(link.root)))
        parent[large] = small
        scores[link.id] = nearest(scores.get(link.id, link.score), link.score)
    return {id: (find(id), scores[id]) for id in sorted(scores)}
