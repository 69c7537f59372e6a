"""Contrast: judgements in; for every emergent pair, judged neighbours with one part replaced, out.

An image near the pair's own with the same text, and a text near the pair's own with the same image: where
such a neighbour is benign, the two rows differ in little else than the harm. Only the pairs that the caps of
select let through are given neighbours; select picks among these.
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Any

import apache_beam as beam

from pipelines.progress import Tally
from pipelines.stages.candidates import AttachTexts, pair_id
from pipelines.stages.emergence import is_emergent
from pipelines.stages.judge import JudgePairs
from pipelines.stages.retrieval import Hit, Nearest
from pipelines.stages.selection import choose_anchors
from pipelines.storage.workspace import Workspace
from schemas import config
from schemas.records import Candidate, Judgement


def is_anchor(judgement: Judgement, config: config.Select) -> bool:
    """Whether a pair can get contrast partners: emergent, and of a known hazard."""
    return judgement.candidate.method == "scenario" and is_emergent(judgement, config)


def with_image(anchor: Candidate, hit: Hit) -> Candidate:
    """The anchor with a neighbour in place of its image."""
    id = pair_id(hit.id, anchor.text_id)
    return anchor._replace(id=id, image_id=hit.id, method="contrast_image", score=hit.score, anchor=anchor.id)


def with_text(anchor: Candidate, hit: Hit) -> Candidate:
    """The anchor with a neighbour in place of its text, which `AttachTexts` adds."""
    id = pair_id(anchor.image_id, hit.id)
    return anchor._replace(
        id=id, text_id=hit.id, text="", method="contrast_text", score=hit.score, anchor=anchor.id
    )


class Contrast(beam.PTransform[Any, Any]):
    """`{"judgements", "images", "texts"}` -> `{"judgements", "failed"}`, those of the contrast candidates.

    Args:
        config: How many neighbours are tried.
        select: What counts as emergent.
        shards: Shards of the index, as `pair.index_shards`.
        images: Handler that embedded the images.
        texts: Handler that embedded the texts.
        judge: Handler of the judge.
        workspace: Where vectors and answers are.
        tally: Counts contrast candidates `in`, `kept`, `failed`.
    """

    def __init__(
        self,
        config: config.Contrast,
        select: config.Select,
        shards: int,
        *,
        images: Any,
        texts: Any,
        judge: Any,
        workspace: Workspace,
        tally: Tally,
    ) -> None:
        super().__init__()
        self._select = select
        near = partial(Nearest, workspace=workspace, shards=shards, count=config.neighbours, itself=False)
        self._near_image = near(images.fingerprint(), images.fingerprint())
        self._near_text = near(texts.fingerprint(), texts.fingerprint())
        self._judge = JudgePairs(judge, workspace, tally, stage="contrast")

    def expand(self, inputs: dict[str, Any]) -> dict[str, Any]:
        """Find the neighbours of the anchors' images and texts, and judge them as partners."""
        select = self._select
        anchors = (
            inputs["judgements"]
            | "Emergent" >> beam.Filter(is_anchor, select)
            | "BySplit" >> beam.Map(lambda judgement: (judgement.candidate.split, judgement))
            | beam.GroupByKey()
            | "Anchors" >> beam.FlatMap(lambda group: choose_anchors(group[1], select))
            | "Candidate" >> beam.Map(lambda judgement: judgement.candidate)
        )
        images = {"anchors": anchors, "assets": inputs["images"]} | _Replaced("image", self._near_image)
        texts = {"anchors": anchors, "assets": inputs["texts"]} | _Replaced("text", self._near_text)
        texts = {"proposals": texts, "texts": inputs["texts"]} | AttachTexts()
        return (images, texts) | beam.Flatten() | "JudgeContrasts" >> self._judge


class _Replaced(beam.PTransform[Any, Any]):
    """`{"anchors", "assets"}` -> contrast candidates with the part of one modality replaced."""

    def __init__(self, modality: str, nearest: Nearest) -> None:
        super().__init__(f"Replaced-{modality}")
        self._modality = modality
        self._nearest = nearest

    def expand(self, inputs: dict[str, Any]) -> Any:
        part = f"{self._modality}_id"
        anchors = inputs["anchors"] | "ByPart" >> beam.Map(lambda c: ((c.split, getattr(c, part)), c))
        queries = anchors | "Queries" >> beam.Keys() | beam.Distinct()
        assets = inputs["assets"] | "Ids" >> beam.Map(lambda asset: (asset.split, asset.id))
        hits = {"assets": assets, "queries": queries} | self._nearest
        return (
            {"anchors": anchors, "hits": hits}
            | beam.CoGroupByKey()
            | "Replace" >> beam.FlatMap(_replace, with_image if self._modality == "image" else with_text)
        )


def _replace(element: Any, replace: Any) -> Iterator[Candidate]:
    _, groups = element
    for hits in groups["hits"]:
        for anchor in groups["anchors"]:
            yield from (replace(anchor, hit) for hit in hits)
