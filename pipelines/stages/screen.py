"""Screen: assets in; those that are benign alone out, with every member's score; harmful ones excluded.

A classifier and the judge look at one modality, never at a partner. Any member that fires excludes.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import apache_beam as beam

from pipelines.progress import Tally
from pipelines.stages.inference import Asset, Question, failed, in_batches, probability, question_key
from pipelines.storage.cache import CachedInference, InferenceError
from pipelines.storage.workspace import Workspace
from schemas import config
from schemas.records import Excluded, ImageAsset, Score

STAGE = "screen"


class Firing(NamedTuple):
    """A member's score that reached its threshold."""

    score: Score
    threshold: float


def first_firing(scores: Sequence[Score], thresholds: Sequence[float]) -> Firing | None:
    """The member with the highest score among those that reach their thresholds (the first of equals)."""
    firing = [Firing(s, t) for s, t in zip(scores, thresholds, strict=True) if s.p >= t]
    return max(firing, key=lambda f: f.score.p, default=None)


def exclusion(asset: Asset, modality: Literal["image", "text"], firing: Firing) -> Excluded:
    """The row of an asset that is harmful by itself; `detail` holds the scores of all members."""
    return Excluded(
        modality,
        asset.id,
        asset.provenance.name,
        STAGE,
        "harmful_alone",
        firing.score.p,
        firing.threshold,
        json.dumps({score.member: score.p for score in asset.screening}),
    )


class Screen(beam.PTransform[Any, Any]):
    """Assets of one modality -> `{"kept", "excluded", "failed"}`; kept assets carry `screening`.

    Args:
        config: Thresholds of the members.
        modality: `image` or `text`.
        classifier: Handler of the classifier: blob ids of images, or texts, to one probability.
        judge: Handler of the judge: `Question`s with one part empty, to one probability.
        workspace: Where the inference caches are.
        tally: Counts `in`, `kept`, `excluded`, `failed`.
    """

    def __init__(
        self,
        config: config.Screen,
        modality: Literal["image", "text"],
        classifier: Any,
        judge: Any,
        *,
        workspace: Workspace,
        tally: Tally,
    ) -> None:
        super().__init__()
        self._screen = _ScreenBatch(config, modality, classifier, judge, workspace=workspace, tally=tally)

    def expand(self, assets: Any) -> dict[str, Any]:
        """Screen in batches, without a shuffle."""
        screen = beam.ParDo(self._screen).with_outputs("excluded", "failed", main="kept")
        rows = assets | "Batch" >> in_batches() | "Score" >> screen
        return {name: rows[name] for name in ("kept", "excluded", "failed")}


class _ScreenBatch(beam.DoFn):
    def __init__(
        self,
        config: config.Screen,
        modality: Literal["image", "text"],
        classifier: Any,
        judge: Any,
        *,
        workspace: Workspace,
        tally: Tally,
    ) -> None:
        self._modality = modality
        self._handlers = (classifier, judge)
        self._names = (f"classifier:{classifier.name}", "judge")
        self._thresholds = (config.classifier_threshold, config.judge_threshold)
        self._workspace = workspace
        self._tally = tally

    def setup(self) -> None:
        classifier, judge = self._handlers
        self._classify: Any = CachedInference(classifier, self._workspace, self._tally)
        self._judge: Any = CachedInference(judge, self._workspace, self._tally)

    def process(self, batch: list[Any]) -> Iterator[Any]:
        self._tally.count("in", len(batch))
        classified = self._classify([(asset.id, _content(asset)) for asset in batch])
        judged = self._judge([_question(asset) for asset in batch])
        for asset, *results in zip(batch, classified, judged, strict=True):
            yield self._row(asset, results)

    def finish_bundle(self) -> None:
        self._tally.flush()

    def _row(self, asset: Asset, results: list[Any]) -> Any:
        for result in results:
            if isinstance(result, InferenceError):
                self._tally.count("failed")
                row = failed(result, self._modality, asset.id, asset.provenance.name, STAGE)
                return beam.pvalue.TaggedOutput("failed", row)
        scores = tuple(Score(name, probability(r)) for name, r in zip(self._names, results, strict=True))
        asset = asset._replace(screening=scores)
        firing = first_firing(scores, self._thresholds)
        self._tally.count("excluded" if firing else "kept")
        if firing:
            return beam.pvalue.TaggedOutput("excluded", exclusion(asset, self._modality, firing))
        return asset


def _content(asset: Asset) -> str:
    """What a classifier reads: the blob id of an image, or a text."""
    return asset.id if isinstance(asset, ImageAsset) else asset.text


def _question(asset: Asset) -> tuple[str, Question]:
    if isinstance(asset, ImageAsset):
        return question_key(asset.id, ""), Question(asset.id, "")
    return question_key("", asset.id), Question("", asset.text)
