"""What the ways of proposing pairs share: the id of a pair, one proposal a pair, and what is known of its parts."""

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
    """A candidate without its text and origins, which `AttachParts` adds."""
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


class AttachParts(beam.PTransform[Any, Any]):
    """`{"proposals", "images", "texts"}` -> the proposals with their text and the origins of both parts."""

    def expand(self, inputs: dict[str, Any]) -> Any:
        """Join by image id, then by text id."""
        origins = inputs["images"] | "Origins" >> beam.Map(
            lambda a: (a.id, {"image_origin": a.provenance.origin})
        )
        texts = inputs["texts"] | "Texts" >> beam.Map(
            lambda a: (a.id, {"text": a.text, "text_origin": a.provenance.origin})
        )
        with_origins = {"proposals": inputs["proposals"], "parts": origins} | Attach("image_id")
        return {"proposals": with_origins, "parts": texts} | Attach("text_id")


class Attach(beam.PTransform[Any, Any]):
    """`{"proposals", "parts": (id, fields)}` -> the proposals with the fields of one of their parts.

    Args:
        key: `image_id` or `text_id`: which part.

    Raises:
        KeyError: A proposal names a part that is not there.
    """

    def __init__(self, key: str) -> None:
        super().__init__(f"Attach-{key}")
        self._key = key

    def expand(self, inputs: dict[str, Any]) -> Any:
        """Join by the part's id."""
        key = self._key
        proposals = inputs["proposals"] | "ByPart" >> beam.Map(lambda c: (getattr(c, key), c))
        return (
            {"proposals": proposals, "parts": inputs["parts"]}
            | beam.CoGroupByKey()
            | "Attach" >> beam.FlatMap(_attach)
        )


def _attach(element: Any) -> Iterator[Candidate]:
    id, groups = element
    for candidate in groups["proposals"]:
        if not groups["parts"]:
            raise KeyError(f"pair {candidate.id} names {id}, which is not in the pool")
        yield candidate._replace(**min(groups["parts"], key=str))


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
