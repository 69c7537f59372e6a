"""Dedupe: assets in, one per cluster of near copies out (with `cluster` and `split`); copies are excluded.

Only ids and hashes are compared. The pool is cut into shards by id, and every pair of shards is compared
once, so that no pair is left out whatever the number of workers; the links found are joined in one place.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.pvalue import PCollection, TaggedOutput
from apache_beam.transforms import combiners

from pipelines.stages.clusters import (
    Link,
    Sketch,
    clusters,
    image_sketch,
    near_images,
    near_texts,
    text_sketch,
)
from pipelines.storage.packing import bucket_of, pack, unpack
from schemas.config import Dedupe as DedupeConfig
from schemas.records import SPLITS, Excluded, ImageAsset, Split, TextAsset

if TYPE_CHECKING:
    from pipelines.progress import Tally

Asset = ImageAsset | TextAsset
AssetModality = Literal["image", "text"]
Clusters = Mapping[str, tuple[str, float]]
_log = logging.getLogger(__name__)


def split_of(cluster: str, seed: int, shares: Mapping[Split, float]) -> Split:
    """The split of a cluster: its hash, in [0, 1), looked up in the cumulative shares in SPLITS order."""
    place = int(hashlib.sha256(f"{seed}:split:{cluster}".encode()).hexdigest()[:16], 16) / 2**64
    edge = 0.0
    for split in SPLITS:
        edge += shares[split]
        if place < edge:
            return split
    return next(split for split in reversed(SPLITS) if shares[split] > 0)


def sketch(asset: Asset, config: DedupeConfig) -> Sketch:
    """What of an asset is compared with the others of its modality."""
    if isinstance(asset, ImageAsset):
        return image_sketch(asset.id, asset.pdq)
    return text_sketch(asset.id, asset.text, config.text_similarity)


def shard_of(id: str, shards: int) -> int:
    """The shard that an asset's sketch belongs to."""
    return int.from_bytes(hashlib.sha256(id.encode()).digest()[:4], "big") % shards


def cells(
    shard: tuple[int, Iterable[bytes]], shards: int
) -> Iterator[tuple[tuple[int, int], tuple[int, bytes]]]:
    """Send a shard, packed as one element, to every comparison that it takes part in."""
    number, members = shard[0], pack(sorted({unpack(one) for one in shard[1]}))
    for other in range(shards):
        yield (min(number, other), max(number, other)), (number, members)


def compare(
    cell: tuple[tuple[int, int], Iterable[tuple[int, bytes]]],
    modality: AssetModality,
    config: DedupeConfig,
) -> list[Link]:
    """Links between the two shards of a cell, or within its only one."""
    (first, second), sides = cell[0], {number: unpack(members) for number, members in cell[1]}
    left, right = sides.get(first, []), None if first == second else sides.get(second, [])
    if modality == "image":
        return near_images(left, right, config.image_distance)
    return near_texts(left, right, config.text_similarity)


def join_links(
    _: None, links: Iterable[Link], pool: int, modality: AssetModality
) -> list[tuple[str, tuple[str, float]]]:
    """Every id that has a near copy, with its cluster and the score to its nearest copy."""
    found = clusters(links, min if modality == "image" else max)
    largest = Counter(cluster for cluster, _ in found.values()).most_common(1)
    if largest and pool > 50 and largest[0][1] * 2 > pool:
        _log.warning(
            "one cluster of near-duplicate %ss holds %d of %d: only one is kept; is the threshold right?",
            modality, largest[0][1], pool,
        )  # fmt: skip
    return list(found.items())


def settle(
    copies: Iterable[Asset], clusters: Clusters, modality: AssetModality, config: DedupeConfig, seed: int
) -> Iterator[Asset | Excluded]:
    """The verdict on all assets of one id: the first by (source, name) is kept if the cluster keeps it."""
    first, *others = sorted(copies, key=lambda asset: (asset.provenance.source, asset.provenance.name))
    cluster, score = clusters.get(first.id, (first.id, 0.0))
    threshold = config.image_distance if modality == "image" else config.text_similarity
    name = first.provenance.name
    if cluster == first.id:
        yield first._replace(cluster=cluster, split=split_of(cluster, seed, config.split))
    else:
        near = round(score, 4)
        yield Excluded(modality, first.id, name, "dedupe", "near_duplicate", near, float(threshold), cluster)
    for copy in others:
        yield Excluded(modality, copy.id, copy.provenance.name, "dedupe", "exact_duplicate", detail=name)


def _bucket(asset: Asset) -> tuple[int, bytes]:
    return bucket_of(asset.id), pack(asset)


def _shard(one: Sketch, shards: int) -> tuple[int, bytes]:
    return shard_of(one.id, shards), pack(one)


class _Settle(beam.DoFn):
    """Send each asset of a bucket to the kept or to the excluded, and count it."""

    def __init__(self, modality: AssetModality, config: DedupeConfig, seed: int, tally: Tally) -> None:
        self._settle = partial(settle, modality=modality, config=config, seed=seed)
        self._tally = tally

    def process(
        self, element: tuple[int, Iterable[bytes]], clusters: Clusters
    ) -> Iterator[Asset | TaggedOutput[str, Any]]:
        copies: dict[str, list[Asset]] = {}
        for asset in map(unpack, element[1]):
            copies.setdefault(asset.id, []).append(asset)
        for same in copies.values():
            yield from self._send(same, clusters)

    def _send(self, same: list[Asset], clusters: Clusters) -> Iterator[Asset | TaggedOutput[str, Any]]:
        for verdict in self._settle(same, clusters):
            self._tally.count("in")
            if isinstance(verdict, Excluded):
                self._tally.count("excluded")
                yield TaggedOutput("excluded", verdict)
            else:
                self._tally.count("kept")
                yield verdict


class Dedupe(beam.PTransform[PCollection[Asset], tuple[PCollection[Asset], PCollection[Excluded]]]):
    """PCollection of assets of one modality -> (kept, excluded).

    Guarantees: no two images kept are within `image_distance`; two texts of at least
    `text_similarity` both stay at most once in 1,000; a whole cluster (chains
    included) has one representative, the smallest id.

    Args:
        config: Thresholds and shares of the splits.
        seed: The salt of the splits.
        modality: What the assets are.
        tally: Counts `in`, `kept` and `excluded`.
        shards: The pool is compared in `shards * (shards + 1) / 2` independent pieces. More of them use more
            workers and less memory each, and shuffle `shards` times the sketches.
    """

    def __init__(
        self, config: DedupeConfig, seed: int, modality: AssetModality, tally: Tally, shards: int = 4
    ) -> None:
        super().__init__()
        self._config, self._seed, self._modality, self._tally, self._shards = (
            config,
            seed,
            modality,
            tally,
            shards,
        )

    def expand(self, assets: PCollection[Asset]) -> tuple[PCollection[Asset], PCollection[Excluded]]:
        """Find the links, then give the verdict on each id."""
        found = pvalue.AsDict(self._clusters(assets))
        verdicts = (
            assets
            | "bucket" >> beam.Map(_bucket)
            | "copies" >> beam.GroupByKey()
            | "settle"
            >> beam.ParDo(_Settle(self._modality, self._config, self._seed, self._tally), found).with_outputs(
                "excluded", main="kept"
            )
        )
        return verdicts.kept, verdicts.excluded

    def _clusters(self, assets: PCollection[Asset]) -> PCollection[tuple[str, tuple[str, float]]]:
        links = (
            assets
            | "sketch" >> beam.Map(sketch, self._config)
            | "shard" >> beam.Map(_shard, self._shards)
            | "shards" >> beam.GroupByKey()
            | "cells" >> beam.FlatMap(cells, self._shards)
            | "pairs of shards" >> beam.GroupByKey()
            | "compare" >> beam.FlatMap(compare, self._modality, self._config)
        )
        pool = assets | "pool" >> combiners.Count.Globally()
        return (
            assets.pipeline
            | "once" >> beam.Create([None])
            | "join"
            >> beam.FlatMap(
                join_links, pvalue.AsIter(links), pvalue.AsSingleton(pool), modality=self._modality
            )
        )
