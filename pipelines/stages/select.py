"""Select: judgements of candidates and of their contrasts in; pairs out, everything else excluded.

`selection` decides, split by split, on judgements stripped of their texts; the decisions are joined back.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from pipelines.progress import Tally
from pipelines.stages.inference import question_key
from pipelines.stages.selection import NO_CONTRAST_SET, Decision, select_split, ticket
from schemas import config
from schemas.records import Candidate, Excluded, Judgement, Pair

STAGE = "select"


def exclusion(judgement: Judgement, decision: Decision) -> Excluded:
    """The row of a candidate that was not selected; `detail` holds what was known of it, as JSON."""
    candidate = judgement.candidate
    origin = ("method", "scenario", "anchor", "image_id", "text_id")
    detail = {name: getattr(candidate, name) for name in origin}
    detail |= {name: getattr(judgement, name) for name in ("p_image", "p_text", "p_joint", "emergence")}
    return Excluded(
        "candidate",
        candidate.id,
        question_key(candidate.image_id, candidate.text_id),
        STAGE,
        decision.reason,
        decision.score,
        decision.threshold,
        json.dumps(detail),
    )


class Select(beam.PTransform[Any, Any]):
    """`Judgement`s of all methods, contrasts included -> `{"pairs", "excluded"}`; each comes out once.

    In `reserve` are once more, as pairs, those of the excluded that are emergent but have no contrast set: with other
    thresholds they may have one.

    Args:
        config: Thresholds, caps and the share of benign pairs.
        seed: Salt of the draw of the benign pairs.
        tally: Counts `in`, `kept`, `excluded`.
    """

    def __init__(self, config: config.Select, seed: int, tally: Tally) -> None:
        super().__init__()
        self._config = config
        self._seed = seed
        self._tally = tally

    def expand(self, judgements: Any) -> dict[str, Any]:
        """Decide per split, then join the decisions to the judgements."""
        config, seed = self._config, self._seed
        decisions = (
            judgements
            | "WithoutText" >> beam.Map(lambda j: (j.candidate.split, _without_text(j)))
            | beam.GroupByKey()
            | "Decide" >> beam.FlatMap(lambda group: select_split(group[1], config, seed).items())
        )
        joined = {
            "judgements": judgements | "ByTicket" >> beam.Map(lambda j: (ticket(j), j)),
            "decisions": decisions,
        } | beam.CoGroupByKey()
        outcome = beam.ParDo(_Outcome(self._tally)).with_outputs("excluded", "reserve", main="pairs")
        rows = joined | "Outcome" >> outcome
        return {name: rows[name] for name in ("pairs", "excluded", "reserve")}


class _Outcome(beam.DoFn):
    def __init__(self, tally: Tally) -> None:
        self._tally = tally

    def process(self, element: Any) -> Iterator[Any]:
        _, groups = element
        (decision,) = groups["decisions"]
        for position, judgement in enumerate(groups["judgements"]):
            if position:
                decision = Decision(reason="duplicate_pair", score=judgement.p_joint)
            yield self._row(judgement, decision)
            if decision.reason == NO_CONTRAST_SET:
                yield beam.pvalue.TaggedOutput("reserve", Pair(judgement, "emergent", ""))

    def finish_bundle(self) -> None:
        self._tally.flush()

    def _row(self, judgement: Judgement, decision: Decision) -> Any:
        self._tally.count("in")
        self._tally.count("kept" if decision.role else "excluded")
        if decision.role:
            return Pair(_in_set_of(judgement, decision.anchor), decision.role, decision.group)
        return beam.pvalue.TaggedOutput("excluded", exclusion(judgement, decision))


def _in_set_of(judgement: Judgement, anchor: Candidate | None) -> Judgement:
    """The judgement as a partner of this emergent pair, whichever pair it was found for."""
    if anchor is None:
        return judgement
    origin = {name: getattr(anchor, name) for name in ("hazard", "mechanism", "scenario")}
    return judgement._replace(candidate=judgement.candidate._replace(anchor=anchor.id, **origin))


def _without_text(judgement: Judgement) -> Judgement:
    return judgement._replace(candidate=judgement.candidate._replace(text=""))
