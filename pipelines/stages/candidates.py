"""What the ways of proposing pairs share: the id of a pair, one proposal a pair, and the texts attached."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

import apache_beam as beam

from pipelines.progress import Tally
from pipelines.stages.inference import question_key
from schemas.records import Candidate


def pair_id(image_id: str, text_id: str) -> str:
    """The id of the pair of an image and a text."""
    return hashlib.sha256(question_key(image_id, text_id).encode()).hexdigest()


def proposal(image_id: str, text_id: str, split: str, method: str, score: float) -> Candidate:
    """A candidate without its text, which `AttachTexts` adds."""
    return Candidate(pair_id(image_id, text_id), image_id, text_id, "", split, method, round(score, 4))


def best_proposal(proposals: Iterable[Candidate]) -> Candidate:
    """The proposal of a pair to keep: a scenario's, then that of the best score, then by scenario id."""
    return min(proposals, key=lambda c: (c.method != "scenario", -c.score, c.scenario, c.method))


class OnePerPair(beam.PTransform[Any, Any]):
    """Proposals -> proposals, the best of each pair."""

    def expand(self, proposals: Any) -> Any:
        """Group by pair id."""
        keyed = proposals | "ById" >> beam.Map(lambda c: (c.id, c))
        return keyed | beam.GroupByKey() | "Best" >> beam.Map(lambda group: best_proposal(group[1]))


class AttachTexts(beam.PTransform[Any, Any]):
    """`{"proposals", "texts"}` -> the proposals with their texts; `texts` are `TextAsset`s."""

    def expand(self, inputs: dict[str, Any]) -> Any:
        """Join by text id."""
        keyed = {
            "proposals": inputs["proposals"] | "ByText" >> beam.Map(lambda c: (c.text_id, c)),
            "texts": inputs["texts"] | "Texts" >> beam.Map(lambda asset: (asset.id, asset.text)),
        }
        return keyed | beam.CoGroupByKey() | "Attach" >> beam.FlatMap(_attach)


def _attach(element: Any) -> Iterator[Candidate]:
    text_id, groups = element
    for candidate in groups["proposals"]:
        if not groups["texts"]:
            raise KeyError(f"pair {candidate.id} names the text {text_id}, which is not in the pool")
        yield candidate._replace(text=min(groups["texts"]))


class Counted(beam.DoFn):
    """Passes every element on and counts it under a name."""

    def __init__(self, tally: Tally, name: str) -> None:
        self._tally = tally
        self._name = name

    def process(self, element: Any) -> Iterator[Any]:
        """Count one element."""
        self._tally.count(self._name)
        yield element

    def finish_bundle(self) -> None:
        """Make the counts visible to the display."""
        self._tally.flush()
