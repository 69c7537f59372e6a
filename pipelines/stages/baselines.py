"""Baselines: ids of a split's images and texts in, proposals out, by chance or by CLIP similarity.

Both sample the smallest salted hashes, so a sample is drawn in one pass, and all pairs are never formed.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import apache_beam as beam
from apache_beam.transforms import combiners

from pipelines.stages.candidates import proposal
from pipelines.stages.retrieval import Nearest
from schemas.records import Candidate


def draw_key(seed: int, purpose: str, id: str) -> str:
    """Sorting ids by this key shuffles them: for each seed and purpose in another order."""
    return hashlib.sha256(f"{seed}|{purpose}|{id}".encode()).hexdigest()


def allocate(total: int, pools: Mapping[str, int]) -> dict[str, int]:
    """Share `total` out in proportion to the pools, by largest remainder, up to what a pool holds."""
    whole = sum(pools.values())
    if not whole:
        return dict.fromkeys(pools, 0)
    shares = {name: total * size // whole for name, size in pools.items()}
    by_remainder = sorted(pools, key=lambda name: (-(total * pools[name] % whole), name))
    for name in by_remainder[: total - sum(shares.values())]:
        shares[name] += 1
    return {name: min(share, pools[name]) for name, share in shares.items()}


def random_pairs(split: str, images: Sequence[str], texts: Sequence[str], size: int) -> list[Candidate]:
    """Pair the first images with the first texts of two independent draws."""
    drawn = list(zip(images, texts, strict=False))[:size]
    return [proposal(image, text, split, "random", 0.0) for image, text in drawn]


def sample_sizes(pools: dict[str, Any], total: int) -> Any:
    """A side input: split -> pairs to propose there, in proportion to the smaller of its two pools.

    Args:
        pools: `images` and `texts`, each a PCollection of (split, id).
        total: Pairs over all splits.
    """
    counts = {
        name: pool | f"Count-{name}" >> combiners.Count.PerKey() for name, pool in sorted(pools.items())
    }
    smaller = counts | beam.CoGroupByKey() | "Smaller" >> beam.MapTuple(_smaller)
    sizes = smaller | combiners.ToDict() | "Allocate" >> beam.Map(lambda sizes: allocate(total, sizes))
    return beam.pvalue.AsSingleton(sizes)


def _smaller(split: str, counts: dict[str, list[int]]) -> tuple[str, int]:
    return split, min(sum(counts["images"]), sum(counts["texts"]))


class _Draw(beam.PTransform[Any, Any]):
    """(split, id) -> (split, [id, ...]), the first `count` in a drawn order."""

    def __init__(self, seed: int, purpose: str, count: int) -> None:
        super().__init__()
        self._seed, self._purpose, self._count = seed, purpose, count

    def expand(self, pool: Any) -> Any:
        seed, purpose = self._seed, self._purpose
        first = combiners.Top.PerKey(
            self._count, key=lambda id: (draw_key(seed, purpose, id), id), reverse=True
        )
        return pool | first


class RandomPairs(beam.PTransform[Any, Any]):
    """`{"images", "texts"}` of (split, id) -> proposals of method `random`: `total` over all splits."""

    def __init__(self, seed: int, total: int, sizes: Any) -> None:
        super().__init__()
        self._seed, self._total, self._sizes = seed, total, sizes

    def expand(self, pools: dict[str, Any]) -> Any:
        """Draw images and texts independently and pair them off."""
        drawn = {
            name: pools[name] | f"Draw-{name}" >> _Draw(self._seed, f"random-{name}", self._total)
            for name in ("images", "texts")
        }
        return drawn | beam.CoGroupByKey() | "Pair" >> beam.FlatMap(_pair_off, self._sizes)


def _pair_off(element: Any, sizes: dict[str, int]) -> list[Candidate]:
    split, drawn = element
    images, texts = ([id for ids in drawn[name] for id in ids] for name in ("images", "texts"))
    return random_pairs(split, images, texts, sizes[split])


class ClipPairs(beam.PTransform[Any, Any]):
    """`{"images", "texts"}` of (split, id) -> proposals of method `clip`: drawn images, nearest text."""

    def __init__(self, seed: int, total: int, sizes: Any, nearest: Nearest) -> None:
        super().__init__()
        self._seed, self._total, self._sizes, self._nearest = seed, total, sizes, nearest

    def expand(self, pools: dict[str, Any]) -> Any:
        """Draw images and search the texts of their split for each."""
        images = (
            pools["images"] | _Draw(self._seed, "clip", self._total) | beam.FlatMap(_sampled, self._sizes)
        )
        return {"assets": pools["texts"], "queries": images} | self._nearest | beam.FlatMap(_clip_proposals)


def _sampled(element: Any, sizes: dict[str, int]) -> list[tuple[str, str]]:
    split, ids = element
    return [(split, id) for id in ids[: sizes[split]]]


def _clip_proposals(element: Any) -> Iterator[Candidate]:
    (split, image), hits = element
    for hit in hits:
        yield proposal(image, hit.id, split, "clip", hit.score)
