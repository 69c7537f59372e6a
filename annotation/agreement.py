"""Measure how far the annotators agree: `python -m annotation agreement --help`.

Krippendorff's alpha with bootstrap intervals by question and by hazard, and for every annotator agreement with the
others, speed, skips and accuracy on gold pairs. Alpha is of the first round without gold pairs: those are chosen
to be clear and are answered by everybody, so they would flatter it, and a second round is made of the pairs
that were not clear.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from schemas.records import Annotation
from schemas.taxonomy import load_taxonomy

if TYPE_CHECKING:
    from annotation.alpha import Alpha, Level
    from annotation.annotators import Annotator, Comparison
    from annotation.answers import Answers

VERDICTS = ("emergent", "benign", "harmful_alone", "unsure")


class Question(NamedTuple):
    """What alpha is measured on."""

    title: str
    level: Level
    domain: tuple[Any, ...]
    """Values that count; everything else is missing."""
    value_of: Callable[[Annotation], Any]


class Agreement(NamedTuple):
    """All figures of a dataset's annotations."""

    questions: dict[str, Alpha]
    hazards: dict[str, dict[str, Alpha]]
    """The machine's hazard (`none` for pairs without one) to question to alpha."""
    annotators: dict[str, Annotator]
    comparisons: list[Comparison]
    left_out: dict[str, int]
    """Annotations that alpha leaves out, by reason."""
    unknown_pairs: dict[str, int]
    notes: list[str]


def verdict(annotation: Annotation) -> str:
    """What the three answers mean together: one of `VERDICTS`, or empty for a skip."""
    alone = (annotation.image_harmful, annotation.text_harmful)
    if not annotation.joint_harmful:
        return ""
    if "yes" in alone:
        return "harmful_alone"
    if "unsure" in (*alone, annotation.joint_harmful):
        return "unsure"
    return "emergent" if annotation.joint_harmful == "yes" else "benign"


def questions() -> dict[str, Question]:
    """The questions by key, `verdict` first, which puts together the answers that decide the label."""
    taxonomy = load_taxonomy()
    three = ("yes", "no", "unsure")
    return {
        "verdict": Question("Verdict of the three answers", "nominal", VERDICTS, verdict),
        "joint_harmful": Question("Harmful together", "nominal", three, lambda a: a.joint_harmful),
        "image_harmful": Question("Image harmful alone", "nominal", three, lambda a: a.image_harmful),
        "text_harmful": Question("Text harmful alone", "nominal", three, lambda a: a.text_harmful),
        "hazard": Question("Hazard", "nominal", tuple(taxonomy.hazards), lambda a: a.hazard),
        "mechanism": Question("Mechanism", "nominal", tuple(taxonomy.mechanisms), lambda a: a.mechanism),
        "severity": Question("Severity", "ordinal", (1, 2, 3, 4), lambda a: a.severity),
    }


def agreement(answers: Answers) -> Agreement:
    """Measure a dataset's annotations."""
    from annotation.annotators import compare, describe_annotators

    first = [one for one in answers.of_dataset(1) if not answers.is_gold(one)]
    comparisons = compare(first)
    annotators = describe_annotators(answers, comparisons)
    overall = _alphas(first, questions())
    asked = {name: one for name, one in questions().items() if name in _BY_HAZARD}
    groups: dict[str, list[Annotation]] = {}
    for one in first:
        groups.setdefault(answers.pairs[one.pair_id].hazard or "none", []).append(one)
    order = [*load_taxonomy().hazards, *sorted(groups.keys() - load_taxonomy().hazards.keys())]
    hazards = {name: _alphas(groups[name], asked) for name in order if name in groups}
    return Agreement(
        overall,
        hazards,
        annotators,
        comparisons,
        _left_out(answers),
        answers.unknown,
        _notes(answers, overall, annotators),
    )


_BY_HAZARD = ("verdict", "joint_harmful", "image_harmful", "text_harmful")


def _alphas(annotations: list[Annotation], asked: dict[str, Question]) -> dict[str, Alpha]:
    from annotation.alpha import count_answers, measure

    found = {}
    for name, question in asked.items():
        given = ((one.pair_id, question.value_of(one)) for one in annotations)
        found[name] = measure(count_answers(given, question.domain), question.level)
    return found


def _left_out(answers: Answers) -> dict[str, int]:
    first = [one for one in answers.annotations if one.round == 1]
    return {
        "gold": sum(answers.is_gold(one) for one in first if not one.skipped),
        "skipped": sum(one.skipped for one in first),
        "second round": sum(one.round != 1 for one in answers.annotations),
        "not in the dataset": sum(answers.unknown.values()),
    }


def _notes(answers: Answers, overall: dict[str, Alpha], annotators: dict[str, Annotator]) -> list[str]:
    from annotation.answers import unknown_notice

    notes = [unknown_notice(answers)] if answers.unknown else []
    if len(annotators) == 1:
        notes.append("one annotator only: agreement needs two on the same pairs")
    elif not overall["verdict"].pairs:
        notes.append("no pair has answers of two annotators: alpha is not defined; let pairs overlap")
    elif overall["verdict"].pairs < 30:
        notes.append(f"only {overall['verdict'].pairs} pairs have two answers: read the intervals, not alpha")
    if not answers.gold:
        notes.append("there is no gold.parquet, so accuracy is not measured")
    same = [questions()[name].title for name, one in overall.items() if one.why == "all answers are the same"]
    if same:
        notes.append(f"alpha is not defined where all answers are the same: {', '.join(same)}")
    return notes


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m annotation agreement",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("dataset", type=Path, help="a dataset folder whose annotations were pulled")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print and write; 0 if it was written, 2 if there is nothing to measure."""
    arguments = parser().parse_args(argv)
    from annotation.agreement_report import print_agreement, write_agreement
    from annotation.answers import AnnotationsError, read_answers

    try:
        found = agreement(read_answers(arguments.dataset))
        written = write_agreement(found, arguments.dataset)
    except (AnnotationsError, OSError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 2
    print_agreement(found, written)
    return 0
