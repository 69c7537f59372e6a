"""Contrast: judgements in; for every pair that may become emergent, judged neighbours with one part replaced, out.

An image near the pair's own with the same text, and a text near the pair's own with the same image: where such a
neighbour is benign, the two rows differ in little else than the harm. The nearest of all would mostly show, or say,
the same harmful thing again, so the search looks away from what the scenario asked for.

Only parts of other such pairs are looked at, of the same split and origin: an image that is in benign rows alone
would give the label away, and so would a photograph in the place of a generated picture. Select picks among them.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from pipelines.progress import Tally
from pipelines.stages.candidates import Attach, pair_id
from pipelines.stages.judge import JudgePairs
from pipelines.stages.retrieval import Away, Hit, Nearest, index_options, query_key
from pipelines.stages.selection import choose_anchors
from pipelines.storage.workspace import Workspace
from schemas import config
from schemas.records import Candidate, Scenario


def with_image(anchor: Candidate, hit: Hit) -> Candidate:
    """The anchor with a neighbour in place of its image."""
    id = pair_id(hit.id, anchor.text_id)
    return anchor._replace(id=id, image_id=hit.id, method="contrast_image", score=hit.score, anchor=anchor.id)


def with_text(anchor: Candidate, hit: Hit) -> Candidate:
    """The anchor with a neighbour in place of its text, which is attached later."""
    id = pair_id(anchor.image_id, hit.id)
    return anchor._replace(
        id=id, text_id=hit.id, text="", method="contrast_text", score=hit.score, anchor=anchor.id
    )


class Contrast(beam.PTransform[Any, Any]):
    """`Judgement`s -> `{"judgements", "failed"}`, those of the contrast candidates.

    Args:
        config: How many neighbours are tried, and how far the search looks away.
        select: The caps; its thresholds have no say here.
        pair: Its index is used here, too.
        scenarios: Those that the candidates came from.
        images: Handler that embedded the images.
        texts: Handler that embedded the texts.
        judge: Handler of the judge.
        workspace: Where vectors and answers are.
        run_dir: The run's folder, for indexes on disk.
        tally: Counts contrast candidates `in`, `kept`, `failed`.
    """

    def __init__(
        self,
        config: config.Contrast,
        select: config.Select,
        pair: config.Pair,
        *,
        scenarios: Iterable[Scenario],
        images: Any,
        texts: Any,
        judge: Any,
        workspace: Workspace,
        run_dir: str = "",
        tally: Tally,
    ) -> None:
        super().__init__()
        self._select = select
        away = Away(texts.fingerprint(), config.away)
        index = index_options(pair, run_dir)
        queries = [(s.id, query_key(s.image_query), query_key(s.text_query)) for s in scenarios]

        def near(fingerprint: str) -> Nearest:
            return Nearest(fingerprint, fingerprint, workspace, count=config.neighbours, away=away, **index)

        self._images = _Replaced("image", near(images.fingerprint()), {id: key for id, key, _ in queries})
        self._texts = _Replaced("text", near(texts.fingerprint()), {id: key for id, _, key in queries})
        self._judge = JudgePairs(judge, workspace, tally, stage="contrast")

    def expand(self, judgements: Any) -> dict[str, Any]:
        """Find the neighbours of the anchors' images and texts, and judge them as partners."""
        select = self._select
        anchors = (
            judgements
            | "ByScenario" >> beam.Filter(lambda judgement: judgement.candidate.method == "scenario")
            | "BySplit" >> beam.Map(lambda judgement: (judgement.candidate.split, judgement))
            | beam.GroupByKey()
            | "Anchors" >> beam.FlatMap(lambda group: choose_anchors(group[1], select))
            | "Candidate" >> beam.Map(lambda judgement: judgement.candidate)
        )
        texts = anchors | "Texts" >> beam.Map(lambda c: (c.text_id, c.text)) | beam.Distinct()
        texts = texts | "AsFields" >> beam.Map(lambda part: (part[0], {"text": part[1]}))
        others = {"proposals": anchors | self._texts, "parts": texts} | Attach("text_id")
        return (anchors | self._images, others) | beam.Flatten() | "JudgeContrasts" >> self._judge


class _Replaced(beam.PTransform[Any, Any]):
    """Anchors -> contrast candidates with the part of one modality replaced by that of another anchor.

    Args:
        modality: `image` or `text`.
        nearest: Finds the assets near a part, away from a query.
        asked: Scenario id to the key of its query of this modality.
    """

    def __init__(self, modality: str, nearest: Nearest, asked: dict[str, str]) -> None:
        super().__init__(f"Replaced-{modality}")
        self._modality = modality
        self._nearest = nearest
        self._asked = asked

    def expand(self, anchors: Any) -> Any:
        part, origin, asked = f"{self._modality}_id", f"{self._modality}_origin", self._asked
        keyed = anchors | "ByPart" >> beam.Map(
            lambda c: ((f"{c.split}-{getattr(c, origin)}", f"{getattr(c, part)}-{asked[c.scenario]}"), c)
        )
        queries = keyed | "Queries" >> beam.Keys() | beam.Distinct()
        assets = (
            queries
            | "Parts" >> beam.Map(lambda key: (key[0], key[1].partition("-")[0]))
            | "Once" >> beam.Distinct()
        )
        hits = {"assets": assets, "queries": queries} | self._nearest
        return (
            {"anchors": keyed, "hits": hits}
            | beam.CoGroupByKey()
            | "Replace" >> beam.FlatMap(_replace, with_image if self._modality == "image" else with_text)
        )


def _replace(element: Any, replace: Any) -> Iterator[Candidate]:
    _, groups = element
    for hits in groups["hits"]:
        for anchor in groups["anchors"]:
            yield from (replace(anchor, hit) for hit in hits)
