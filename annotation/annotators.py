"""How each annotator works: agreement with the others, speed, skips, and accuracy where answers are known."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from itertools import combinations
from statistics import median
from typing import Any, NamedTuple

from annotation.answers import KNOWABLE, Answers
from annotation.intervals import Rate, rate
from schemas.records import Annotation

QUESTION = "joint_harmful"
"""The question that annotators are compared on."""


class Annotator(NamedTuple):
    """The figures of one annotator, over the first round."""

    annotations: int
    """Without skips; gold pairs are counted, as in `seconds`."""
    skips: int
    seconds: float | None
    """The median of the lead times that are known."""
    agreement: float | None
    """Share of comparisons with others' answers on the same pair that are equal; None without any."""
    comparisons: int
    accuracy: dict[str, Rate]
    """Question to the share of right answers on gold pairs, where unsure is not right."""


class Comparison(NamedTuple):
    """Two annotators on the pairs that both answered."""

    one: str
    other: str
    pairs: int
    agreement: float


def compare(annotations: Iterable[Annotation]) -> list[Comparison]:
    """Every two annotators who share a pair, in the order of their names."""
    by_pair: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in annotations:
        if getattr(annotation, QUESTION):
            by_pair[annotation.pair_id].append(annotation)
    equal: dict[tuple[str, str], list[bool]] = defaultdict(list)
    for members in by_pair.values():
        for one, other in combinations(sorted(members, key=lambda member: member.annotator), 2):
            same = getattr(one, QUESTION) == getattr(other, QUESTION)
            equal[one.annotator, other.annotator].append(same)
    return [
        Comparison(*names, len(same), round(sum(same) / len(same), 4))
        for names, same in sorted(equal.items())
    ]


def describe_annotators(answers: Answers, comparisons: Iterable[Comparison]) -> dict[str, Annotator]:
    """Every annotator of the first round by name."""
    by_name: dict[str, list[Annotation]] = defaultdict(list)
    for annotation in answers.annotations:
        if annotation.round == 1:
            by_name[annotation.annotator].append(annotation)
    shared = list(comparisons)
    return {name: _describe(name, by_name[name], shared, answers.gold) for name in sorted(by_name)}


def _describe(
    name: str, own: list[Annotation], comparisons: list[Comparison], gold: dict[str, dict[str, str]]
) -> Annotator:
    answered = [one for one in own if not one.skipped]
    seconds = [one.seconds for one in answered if one.seconds > 0]
    with_others = [one for one in comparisons if name in (one.one, one.other)]
    compared = sum(one.pairs for one in with_others)
    equal = sum(one.agreement * one.pairs for one in with_others)
    return Annotator(
        annotations=len(answered),
        skips=len(own) - len(answered),
        seconds=round(median(seconds), 1) if seconds else None,
        agreement=round(equal / compared, 4) if compared else None,
        comparisons=compared,
        accuracy=accuracy(answered, gold),
    )


def accuracy(answered: Iterable[Annotation], gold: dict[str, dict[str, str]]) -> dict[str, Rate]:
    """Question to the share of answers that are the known ones; only questions with a known answer.

    A hazard counts only where the annotator, rightly, found the pair harmful, since it is not asked otherwise.
    """
    right: dict[str, list[bool]] = defaultdict(list)
    for one in answered:
        for question, known in gold.get(one.pair_id, {}).items():
            given = getattr(one, question)
            if given or question != "hazard":
                right[question].append(given == known)
    return {name: rate(sum(right[name]), len(right[name])) for name in KNOWABLE if name in right}


def as_json(annotator: Annotator) -> dict[str, Any]:
    """The figures as plain data."""
    rates = {name: one._asdict() for name, one in annotator.accuracy.items()}
    return {**annotator._asdict(), "accuracy": rates}
