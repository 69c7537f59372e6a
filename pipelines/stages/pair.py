"""Pair: images and texts of the splits in, candidates out, each an image and a text of one split.

Scenarios propose pairs whose image is near the scenario's image query and whose text is near its text query;
two baselines propose beside them (see `baselines`). A pair proposed more than once becomes one candidate.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import product
from typing import Any, NamedTuple

import apache_beam as beam

from pipelines.progress import Tally
from pipelines.stages.baselines import ClipPairs, RandomPairs, sample_sizes
from pipelines.stages.candidates import AttachParts, Counted, OnePerPair, proposal
from pipelines.stages.retrieval import Hit, Nearest, index_options, query_key
from pipelines.storage.cache import CachedInference, InferenceError
from pipelines.storage.workspace import Workspace
from schemas import config
from schemas.records import SPLITS, Candidate, Scenario
from schemas.taxonomy import load_taxonomy


class Query(NamedTuple):
    """A scenario's query for one modality in one split; `key` is its key in the text embedder's cache."""

    modality: str
    split: str
    key: str
    text: str
    scenario: Scenario


def splits_of(scenario: Scenario) -> tuple[str, ...]:
    """The splits in which a scenario may be paired."""
    return tuple(split for split in SPLITS if (split == "test_ood") == scenario.held_out)


def queries_of(scenarios: Iterable[Scenario]) -> list[Query]:
    """All queries of all scenarios, one for each split that a scenario belongs to.

    Raises:
        ClosedHazardError: A scenario asks for a hazard that is closed.
        ValueError: A scenario's hazard or mechanism is unknown.
    """
    queries = []
    for scenario in scenarios:
        load_taxonomy().require_open(scenario.hazard)
        load_taxonomy().require_mechanism(scenario.mechanism)
        for modality, text in (("image", scenario.image_query), ("text", scenario.text_query)):
            key = query_key(text)
            queries += [Query(modality, split, key, text, scenario) for split in splits_of(scenario)]
    return queries


def propose(
    scenario: Scenario, split: str, images: Sequence[Hit], texts: Sequence[Hit], config: config.Pair
) -> list[Candidate]:
    """The best pairs of what was found, by mean cosine, ties by pair id; parts are not attached.

    No image and no text is in more than `uses_per_scenario` of them, so that one near hit does not crowd out
    the others.
    """
    pairs = [
        proposal(image.id, text.id, split, "scenario", (image.score + text.score) / 2)._replace(
            hazard=scenario.hazard, mechanism=scenario.mechanism, scenario=scenario.id
        )
        for image, text in product(images, texts)
    ]
    uses: Counter[str] = Counter()
    chosen: list[Candidate] = []
    for pair in sorted(pairs, key=lambda pair: (-pair.score, pair.id)):
        if max(uses[pair.image_id], uses[pair.text_id]) < config.uses_per_scenario:
            uses.update((pair.image_id, pair.text_id))
            chosen.append(pair)
    return chosen[: config.candidates_per_scenario]


class Pairing(beam.PTransform[Any, Any]):
    """`{"images", "texts"}`, embedded and with their splits -> a PCollection of `Candidate`.

    Args:
        config: How many are retrieved and proposed.
        seed: Salt of the baselines' samples.
        scenarios: What to look for. One of a closed hazard is refused here, before anything runs.
        images: Handler that embedded the images.
        texts: Handler that embedded the texts, in the same space; it also embeds the queries.
        workspace: Where the vectors are.
        run_dir: The run's folder, for indexes on disk.
        tally: Counts assets `in`, candidates as `kept`, and queries `cached` and `inferred`.
    """

    def __init__(
        self,
        config: config.Pair,
        seed: int,
        scenarios: tuple[Scenario, ...],
        images: Any,
        texts: Any,
        *,
        workspace: Workspace,
        run_dir: str = "",
        tally: Tally,
    ) -> None:
        super().__init__()
        self._config = config
        self._index = index_options(config, run_dir)
        self._seed = seed
        self._queries = queries_of(scenarios)
        self._embedder = texts
        self._fingerprints = {"image": images.fingerprint(), "text": texts.fingerprint()}
        self._workspace = workspace
        self._tally = tally

    def expand(self, assets: dict[str, Any]) -> Any:
        """Propose by scenario and by both baselines, keep one proposal a pair, and attach its parts."""
        pools = {name: assets[name] | f"Ids-{name}" >> self._ids() for name in ("images", "texts")}
        proposals = (self._by_scenario(pools), *self._by_baselines(pools)) | beam.Flatten()
        candidates = {"proposals": proposals | OnePerPair(), **assets} | AttachParts()
        return candidates | "Count" >> beam.ParDo(Counted(self._tally, "kept"))

    def _ids(self) -> Any:
        return beam.ParDo(Counted(self._tally, "in")) | beam.Map(lambda asset: (asset.split, asset.id))

    def _by_scenario(self, pools: dict[str, Any]) -> Any:
        embed = beam.ParDo(_EmbedQueries(self._embedder, self._workspace, self._tally))
        asked = (
            pools["texts"].pipeline
            | beam.Create([self._queries])
            | "EmbedQueries" >> embed.with_outputs("image", "text")
        )
        near_image = self._nearest("image", "text", self._config.images_per_scenario)
        near_text = self._nearest("text", "text", self._config.texts_per_scenario)
        found = {
            "images": {"assets": pools["images"], "queries": asked.image} | "NearImage" >> near_image,
            "texts": {"assets": pools["texts"], "queries": asked.text} | "NearText" >> near_text,
        }
        hits = {
            "images": found["images"] | "ImageHits" >> beam.FlatMap(_HitsOfScenarios(self._queries, "image")),
            "texts": found["texts"] | "TextHits" >> beam.FlatMap(_HitsOfScenarios(self._queries, "text")),
        }
        propose = _Propose(self._queries, self._config)
        return hits | "ByScenario" >> beam.CoGroupByKey() | "Propose" >> beam.FlatMap(propose)

    def _nearest(self, assets: str, queries: str, count: int) -> Nearest:
        prints = self._fingerprints
        return Nearest(prints[assets], prints[queries], self._workspace, count=count, **self._index)

    def _by_baselines(self, pools: dict[str, Any]) -> tuple[Any, ...]:
        total = self._config.baseline_candidates
        if not total:
            return ()
        sizes = sample_sizes(pools, total)
        random = RandomPairs(self._seed, total, sizes)
        clip = ClipPairs(self._seed, total, sizes, self._nearest("text", "image", 1))
        return pools | "Random" >> random, pools | "Clip" >> clip


class _EmbedQueries(beam.DoFn):
    """All queries, as one element -> (split, key) under the tag of their modality, once embedded."""

    def __init__(self, embedder: Any, workspace: Workspace, tally: Tally) -> None:
        self._embedder = embedder
        self._workspace = workspace
        self._tally = tally

    def process(self, queries: list[Query]) -> Iterator[Any]:
        texts = {query.key: query.text for query in queries}
        results: Any = CachedInference(self._embedder, self._workspace, self._tally)(sorted(texts.items()))
        for key, result in zip(sorted(texts), results, strict=True):
            if isinstance(result, InferenceError):
                raise RuntimeError(f"the query {texts[key]!r} cannot be embedded") from result.cause
        for query in queries:
            yield beam.pvalue.TaggedOutput(query.modality, (query.split, query.key))


class _HitsOfScenarios:
    """((split, key), hits) -> ((split, scenario id), hits), for every scenario that asked this query."""

    def __init__(self, queries: list[Query], modality: str) -> None:
        self._askers: dict[tuple[str, str], list[str]] = {}
        for query in queries:
            if query.modality == modality:
                self._askers.setdefault((query.split, query.key), []).append(query.scenario.id)

    def __call__(self, found: Any) -> Iterator[Any]:
        (split, key), hits = found
        yield from (((split, scenario), hits) for scenario in self._askers[split, key])


class _Propose:
    """((split, scenario id), hits of both modalities) -> proposals."""

    def __init__(self, queries: list[Query], config: config.Pair) -> None:
        self._scenarios = {query.scenario.id: query.scenario for query in queries}
        self._config = config

    def __call__(self, element: Any) -> list[Candidate]:
        (split, scenario), found = element
        images, texts = ([hit for hits in found[name] for hit in hits] for name in ("images", "texts"))
        return propose(self._scenarios[scenario], split, images, texts, self._config)
