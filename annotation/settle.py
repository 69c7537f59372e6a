"""Settle every annotated pair: the votes of the first round, then the experts of the second."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from statistics import median_high
from typing import NamedTuple

from annotation.answers import YES_NO, Answers
from annotation.rationales import preferred
from annotation.voting import (
    MIN_CONFIDENCE,
    Belief,
    Beliefs,
    Errors,
    Method,
    Vote,
    choose_method,
    dawid_skene,
    majority,
)
from schemas.records import Adjudication, Annotation

_NOTHING = Belief(0.0, 0.0, 0.0)
_EXPERTS = 0.5
"""More than half of the experts settle a question."""


class Settled(NamedTuple):
    """All pairs that somebody annotated, and how they were settled."""

    rows: list[Adjudication]
    """Sorted by pair id."""
    method: Method
    min_confidence: float
    errors: dict[str, Errors]
    """Question to the annotators' error rates; empty by majority."""

    def open(self) -> list[str]:
        """Ids of the pairs that an expert must look at."""
        return [row.pair_id for row in self.rows if row.status != "settled"]


class _Outcome(NamedTuple):
    """The answers to the three questions (yes, no, or why neither), in the order of `YES_NO`."""

    answers: tuple[str, ...]
    confidence: float
    expert: bool

    @property
    def status(self) -> str:
        return next((answer for answer in self.answers if answer not in ("yes", "no")), "settled")


def settle(answers: Answers, method: Method | None = None, min_confidence: float | None = None) -> Settled:
    """Adjudicate the annotated pairs of a dataset.

    A pair is settled if each of the three questions is, since a label needs all of them. An expert's answer, of the
    second round, counts more than the first round's; an expert who is unsure leaves a question as it was.

    Args:
        answers: What people said.
        method: How the first round's votes count together; None chooses by how much there is to learn from.
        min_confidence: Probability, in [0.5, 1], from which a question is settled; None takes the method's own.
    """
    first, second = answers.of_dataset(1), answers.of_dataset(2)
    method = method or choose_method(_votes(first, YES_NO[0]))
    limit = MIN_CONFIDENCE[method] if min_confidence is None else min_confidence
    beliefs, errors = _believe(first, method, answers.gold)
    experts = [majority(_votes(second, question)) for question in YES_NO]
    pairs = sorted({one.pair_id for one in answers.annotations if one.pair_id in answers.pairs})
    outcomes = {pair: _outcome(pair, beliefs, experts, limit) for pair in pairs}
    reliability = _reliability(first, outcomes, answers)
    by_pair = _by_pair([*first, *second])
    rows = [_adjudication(pair, outcomes[pair], by_pair[pair], reliability, method) for pair in pairs]
    return Settled(rows, method, limit, errors)


def _votes(annotations: Iterable[Annotation], question: str) -> list[Vote]:
    given = ((one, getattr(one, question)) for one in annotations)
    return [Vote(one.pair_id, one.annotator, answer) for one, answer in given if answer]


def _believe(
    annotations: list[Annotation], method: Method, gold: Mapping[str, Mapping[str, str]]
) -> tuple[list[Beliefs], dict[str, Errors]]:
    if method == "majority":
        return [majority(_votes(annotations, question)) for question in YES_NO], {}
    found = {}
    for question in YES_NO:
        known = {pair: answers[question] for pair, answers in gold.items() if question in answers}
        found[question] = dawid_skene(_votes(annotations, question), known)
    return [beliefs for beliefs, _ in found.values()], {name: errors for name, (_, errors) in found.items()}


def _outcome(pair: str, beliefs: list[Beliefs], experts: list[Beliefs], limit: float) -> _Outcome:
    decided, by_expert = [], False
    for first, second in zip(beliefs, experts, strict=True):
        expert = second.get(pair, _NOTHING).answer(_EXPERTS)
        by_expert |= expert in ("yes", "no")
        own = first.get(pair, _NOTHING).answer(limit)
        contradicted = expert == "tie" and second[pair].confidence > 0
        decided.append(expert if expert in ("yes", "no") or contradicted else own)
    told_by_expert = experts[0].get(pair, _NOTHING).answer(_EXPERTS) in ("yes", "no")
    joint = (experts if told_by_expert else beliefs)[0].get(pair, _NOTHING)
    return _Outcome(tuple(decided), joint.confidence, by_expert)


def _reliability(
    first: Iterable[Annotation], outcomes: Mapping[str, _Outcome], answers: Answers
) -> dict[str, float]:
    """Annotator to share of right answers about the pair: on gold pairs, or without any on settled ones."""
    on_gold: dict[str, list[bool]] = defaultdict(list)
    on_settled: dict[str, list[bool]] = defaultdict(list)
    for one in answers.annotations:
        known = answers.gold.get(one.pair_id, {}).get("joint_harmful")
        if known and one.round == 1 and not one.skipped:
            on_gold[one.annotator].append(one.joint_harmful == known)
    for one in first:
        if outcomes[one.pair_id].status == "settled":
            on_settled[one.annotator].append(one.joint_harmful == outcomes[one.pair_id].answers[0])
    return {name: sum(right) / len(right) for name, right in {**on_settled, **on_gold}.items()}


def _by_pair(annotations: Iterable[Annotation]) -> dict[str, list[Annotation]]:
    by_pair: dict[str, list[Annotation]] = defaultdict(list)
    for one in sorted(annotations, key=lambda one: (one.annotator, one.round)):
        by_pair[one.pair_id].append(one)
    return by_pair


def _adjudication(
    pair: str, outcome: _Outcome, own: list[Annotation], reliability: Mapping[str, float], method: Method
) -> Adjudication:
    settled = outcome.status == "settled"
    joint, image, text = outcome.answers if settled else ("", "", "")
    harmful = [one for one in own if one.joint_harmful == "yes"] if joint == "yes" else []
    hazard = _commonest("hazard", harmful, reliability)
    mechanism = _commonest("mechanism", harmful, reliability)
    return Adjudication(
        pair_id=pair,
        joint_harmful=joint,
        image_harmful=image,
        text_harmful=text,
        hazard=hazard,
        mechanism=mechanism,
        severity=_severity(harmful),
        confidence=outcome.confidence,
        agreement=_agreement(own),
        votes=tuple((o.annotator, o.image_harmful, o.text_harmful, o.joint_harmful) for o in own),
        rationale=preferred(harmful, hazard, mechanism, reliability),
        rationales=tuple(one.rationale for one in own if one.rationale.strip()),
        status=outcome.status,
        method="expert" if outcome.expert else method,
    )


def _experts_first(harmful: list[Annotation]) -> list[Annotation]:
    return [one for one in harmful if one.round != 1] or harmful


def _commonest(field: str, harmful: list[Annotation], reliability: Mapping[str, float]) -> str:
    """The commonest answer of those who found the pair harmful, experts before others.

    Of equally common ones the one whose annotators are the more reliable, then the first in the alphabet.
    """
    given = [one for one in _experts_first(harmful) if getattr(one, field)]
    counts = Counter(getattr(one, field) for one in given)
    trust: Counter[str] = Counter()
    for one in given:
        trust[getattr(one, field)] += reliability.get(one.annotator, 0.0)  # type: ignore[assignment]
    return min(counts, key=lambda value: (-counts[value], -round(trust[value], 6), value), default="")


def _severity(harmful: list[Annotation]) -> int:
    """The median; of two middle ones the higher, since to underrate harm is the worse mistake."""
    given = [one.severity for one in _experts_first(harmful) if one.severity]
    return median_high(given) if given else 0


def _agreement(own: list[Annotation]) -> float:
    """Of the first round's votes, or without any of the second's; 0 without votes."""
    first = [one for one in own if one.round == 1] or own
    counts = Counter(one.joint_harmful for one in first if one.joint_harmful)
    return round(max(counts.values()) / counts.total(), 4) if counts else 0.0
