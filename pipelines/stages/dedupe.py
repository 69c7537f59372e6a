"""Dedupe: assets in, one per cluster of near copies out (with `cluster` and `split`); copies are excluded.

Only ids and hashes are compared. The pool is cut into shards by id, and every pair of shards is compared
once, so that no pair is left out whatever the number of workers; the links found are joined in one place. The
pool and its sketches are on disk meanwhile.
"""

from __future__ import annotations

import hashlib
import logging
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from itertools import combinations_with_replacement, groupby
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import apache_beam as beam
from apache_beam import pvalue
from apache_beam.pvalue import PCollection, TaggedOutput

from pipelines.stages.clusters import (
    Link,
    Sketch,
    clusters,
    image_sketch,
    near_images,
    near_texts,
    text_sketch,
)
from pipelines.stages.spill import Spill
from pipelines.storage.packing import bucket_of, pack, unpack
from pipelines.storage.spill import Group, SpillFile, Value
from schemas.config import Dedupe as DedupeConfig
from schemas.records import SPLITS, Excluded, ImageAsset, Split, TextAsset

if TYPE_CHECKING:
    from pipelines.progress import Tally

Asset = ImageAsset | TextAsset
AssetModality = Literal["image", "text"]
Clusters = Mapping[str, tuple[str, float]]
BUCKETS = 1024
"""Pieces in which the verdicts are given."""
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


def cells(groups: Iterable[Group]) -> Iterator[tuple[Group, Group]]:
    """Every two shards, and every shard with itself, once."""
    yield from combinations_with_replacement(sorted(groups), 2)


def compare(
    left: Sequence[Sketch], right: Sequence[Sketch] | None, modality: AssetModality, config: DedupeConfig
) -> list[Link]:
    """Links between two shards, or (right: None) within one."""
    if modality == "image":
        return near_images(left, right, config.image_distance)
    return near_texts(left, right, config.text_similarity)


def join_links(
    _: None, links: Iterable[Link], shards: Iterable[Group], modality: AssetModality
) -> list[tuple[str, tuple[str, float]]]:
    """Every id that has a near copy, with its cluster and the score to its nearest copy."""
    found = clusters(links, min if modality == "image" else max)
    pool = sum(shard.size for shard in shards)
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


def _bucket(asset: Asset) -> Value:
    return Value(str(bucket_of(asset.id, BUCKETS)), asset.id, pack(asset))


class _Shard:
    """An asset's sketch, as a value of the shard that it belongs to."""

    def __init__(self, config: DedupeConfig, shards: int) -> None:
        self._config, self._shards = config, shards

    def __call__(self, asset: Asset) -> Value:
        one = sketch(asset, self._config)
        return Value(str(bucket_of(one.id, self._shards)), one.id, pack(one))


class _Compare(beam.DoFn):
    """Reads the two shards of a cell and finds the links between them."""

    def __init__(self, file: SpillFile, modality: AssetModality, config: DedupeConfig) -> None:
        self._file, self._modality, self._config = file, modality, config

    def process(self, cell: tuple[Group, Group]) -> list[Link]:
        first, second = cell
        left = self._read(first)
        right = None if first == second else self._read(second)
        return compare(left, right, self._modality, self._config)

    def _read(self, group: Group) -> list[Sketch]:
        return [unpack(data) for data in self._file.read(group)]


class _Settle(beam.DoFn):
    """Send each asset of a bucket to the kept or to the excluded, and count it."""

    def __init__(
        self, file: SpillFile, modality: AssetModality, config: DedupeConfig, seed: int, tally: Tally
    ) -> None:
        self._file = file
        self._settle = partial(settle, modality=modality, config=config, seed=seed)
        self._tally = tally

    def process(self, bucket: Group, clusters: Clusters) -> Iterator[Asset | TaggedOutput[str, Any]]:
        assets = map(unpack, self._file.read(bucket))
        for _, same in groupby(assets, key=attrgetter("id")):
            yield from self._send(same, clusters)

    def _send(self, same: Iterable[Asset], clusters: Clusters) -> Iterator[Asset | TaggedOutput[str, Any]]:
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
        run_dir: The run's folder, where the pool is kept while it is compared.
        tally: Counts `in`, `kept` and `excluded`.
        shards: The pool is compared in `shards * (shards + 1) / 2` independent pieces. More of them use more
            workers and less memory each, and read each sketch `shards` times.
    """

    def __init__(
        self,
        config: DedupeConfig,
        seed: int,
        modality: AssetModality,
        *,
        run_dir: str,
        tally: Tally,
        shards: int = 4,
    ) -> None:
        super().__init__()
        self._config, self._seed, self._modality, self._tally = config, seed, modality, tally
        self._shards = shards
        self._pool = SpillFile(Path(run_dir) / f"dedupe-{modality}.sqlite")
        self._sketches = SpillFile(Path(run_dir) / f"sketches-{modality}.sqlite")

    def expand(self, assets: PCollection[Asset]) -> tuple[PCollection[Asset], PCollection[Excluded]]:
        """Find the links, then give the verdict on each id."""
        buckets = assets | "Pool" >> Spill(self._pool, _bucket)
        found = pvalue.AsDict(self._clusters(assets))
        settle = _Settle(self._pool, self._modality, self._config, self._seed, self._tally)
        verdicts = buckets | "Settle" >> beam.ParDo(settle, found).with_outputs("excluded", main="kept")
        return verdicts.kept, verdicts.excluded

    def _clusters(self, assets: PCollection[Asset]) -> PCollection[tuple[str, tuple[str, float]]]:
        shards = assets | "Sketches" >> Spill(self._sketches, _Shard(self._config, self._shards))
        once = assets.pipeline | "Once" >> beam.Create([None])
        links = (
            once
            | "Cells" >> beam.FlatMap(lambda _, groups: cells(groups), pvalue.AsList(shards))
            | "Spread" >> beam.Reshuffle()
            | "Compare" >> beam.ParDo(_Compare(self._sketches, self._modality, self._config))
        )
        return once | "Join" >> beam.FlatMap(
            join_links, pvalue.AsIter(links), pvalue.AsList(shards), modality=self._modality
        )
