"""Screen: assets in; those that are benign alone out, with every member's score; harmful ones excluded.

Classifiers and the judge look at one modality, never at a partner; `ensemble` puts their scores together.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any, Literal, NamedTuple

import apache_beam as beam

from pipelines.calibration import NEUTRAL, Scaling
from pipelines.progress import Tally
from pipelines.stages.ensemble import Firing, verdict
from pipelines.stages.inference import Asset, Question, failed, in_batches, probability, question_key
from pipelines.storage.cache import CachedInference, InferenceError
from pipelines.storage.workspace import Workspace
from schemas import config
from schemas.records import Excluded, ImageAsset, Score

STAGE = "screen"


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


class Member(NamedTuple):
    """One opinion of the ensemble."""

    name: str
    handler: Any
    """Answers a blob id of an image, or a text, with one probability; a judge answers a `Question`."""
    threshold: float
    scaling: Scaling = NEUTRAL
    asked: bool = False
    """Whether it is a judge, which is asked a question with one part empty."""


class Screen(beam.PTransform[Any, Any]):
    """Assets of one modality -> `{"kept", "excluded", "failed"}`; kept assets carry `screening`.

    Args:
        config: How the members' scores are put together.
        modality: `image` or `text`.
        members: Who is asked, at least one.
        workspace: Where the inference caches are.
        tally: Counts `in`, `kept`, `excluded`, `failed`.
    """

    def __init__(
        self,
        config: config.Screen,
        modality: Literal["image", "text"],
        members: Sequence[Member],
        *,
        workspace: Workspace,
        tally: Tally,
    ) -> None:
        super().__init__()
        self._screen = _ScreenBatch(config, modality, tuple(members), workspace, tally)

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
        members: tuple[Member, ...],
        workspace: Workspace,
        tally: Tally,
    ) -> None:
        self._config, self._modality, self._members = config, modality, members
        self._workspace, self._tally = workspace, tally

    def setup(self) -> None:
        self._infer: list[Any] = [
            CachedInference(member.handler, self._workspace, self._tally) for member in self._members
        ]

    def process(self, batch: list[Any]) -> Iterator[Any]:
        self._tally.count("in", len(batch))
        answers = [
            infer([_question(asset) if member.asked else (asset.id, _content(asset)) for asset in batch])
            for member, infer in zip(self._members, self._infer, strict=True)
        ]
        for asset, *results in zip(batch, *answers, strict=True):
            yield self._row(asset, results)

    def finish_bundle(self) -> None:
        self._tally.flush()

    def _row(self, asset: Asset, results: list[Any]) -> Any:
        for result in results:
            if isinstance(result, InferenceError):
                self._tally.count("failed")
                row = failed(result, self._modality, asset.id, asset.provenance.name, STAGE)
                return beam.pvalue.TaggedOutput("failed", row)
        members = zip(self._members, results, strict=True)
        scores = tuple(Score(m.name, probability(result, m.scaling)) for m, result in members)
        asset = asset._replace(screening=scores)
        thresholds = [member.threshold for member in self._members]
        firing = verdict(scores, thresholds, self._config.rule, self._config.mean_threshold)
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
