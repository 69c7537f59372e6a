"""One annotation as Label Studio gives it, made into a record, or refused with a reason."""

from __future__ import annotations

import hashlib
import hmac
import math
from collections.abc import Collection, Mapping
from datetime import UTC, datetime
from typing import Any, NamedTuple

from annotation.labelling import ANSWERS, HARMED, SEVERITIES
from schemas.records import Annotation, Region
from schemas.taxonomy import Taxonomy

QUESTIONS = ("image_harmful", "text_harmful", "joint_harmful")
DETAILS = ("hazard", "mechanism", "severity", "harmed", "rationale")
"""What is asked only about a pair that is harmful."""
_OTHER = ("region", "report", "reveal")
_MOST_CHARACTERS = 10_000


class RefusedAnnotationError(Exception):
    """An annotation that cannot be used; the text says why, and quotes nothing of it but names of controls."""


class Context(NamedTuple):
    """What an annotation is read against."""

    project: str
    """The key of the project, by which its annotations get their ids."""
    pairs: Collection[str]
    """Ids of the pairs in the dataset."""
    gold: Collection[str]
    """Ids of the pairs whose answers are known."""
    choices: Mapping[str, Collection[str]]
    """Control to the answers it allows."""
    salt: bytes
    """Secret bytes that keep annotators' numbers from being guessed from their hashes."""


def choices(taxonomy: Taxonomy) -> dict[str, Collection[str]]:
    """The answers that each control allows."""
    return {
        **dict.fromkeys(QUESTIONS, frozenset(ANSWERS)),
        "hazard": frozenset(taxonomy.open_hazards()),
        "mechanism": frozenset(taxonomy.mechanisms),
        "severity": frozenset(SEVERITIES),
        "harmed": frozenset(HARMED),
    }


def annotation_id(project: str, number: int) -> str:
    """The id of an annotation: sha256 (hex) of its project and its number on the server."""
    return hashlib.sha256(f"{project}/{number}".encode()).hexdigest()


def annotator(salt: bytes, user: Any) -> str:
    """A name that does not tell who it is without the salt: HMAC-SHA256 (hex) of the server's number of a user."""
    return hmac.new(salt, str(user).encode(), hashlib.sha256).hexdigest()


def read(task: Mapping[str, Any], given: Mapping[str, Any], context: Context) -> Annotation:
    """Make a record of an annotation.

    Args:
        task: The task's `data`.
        given: The annotation as `GET /api/tasks` has it.
        context: What it is read against.

    Raises:
        RefusedAnnotationError: It is of another dataset or another configuration, incomplete, or reported.
    """
    pair = task.get("pair_id")
    if not isinstance(pair, str) or pair not in context.pairs:
        raise RefusedAnnotationError("the dataset has no such pair")
    round_number = task.get("round")
    if round_number not in (1, 2):
        raise RefusedAnnotationError("the task has no round, so push did not make it")
    skipped = bool(given.get("was_cancelled"))
    answers = _no_answers() if skipped else _answers(given.get("result"), context.choices)
    return Annotation(
        id=annotation_id(context.project, given["id"]),
        pair_id=pair,
        annotator=annotator(context.salt, _user(given.get("completed_by"))),
        round=round_number,
        gold=pair in context.gold and round_number == 1,
        skipped=skipped,
        **answers,
        seconds=_seconds(given.get("lead_time")),
        guideline=str(task.get("guideline", "")),
        updated=_utc(given.get("updated_at")),
    )


def _answers(result: Any, allowed: Mapping[str, Collection[str]]) -> dict[str, Any]:
    values = _values(result)
    if "report" in values:
        raise RefusedAnnotationError("reported: the annotator says that this pair should not be here")
    asked = (*QUESTIONS, *DETAILS) if values.get("joint_harmful") == "yes" else QUESTIONS
    answers = _no_answers()
    for name in asked:
        answers[name] = _answer(name, values.get(name, ""), allowed)
    answers["severity"] = int(answers["severity"])
    answers["region"] = values.get("region")
    return answers


def _answer(name: str, value: str, allowed: Mapping[str, Collection[str]]) -> str:
    if not value:
        raise RefusedAnnotationError(f"{name} is missing")
    if name in allowed and value not in allowed[name]:
        raise RefusedAnnotationError(f"{name} has an answer that is not among its choices")
    return value


def _values(result: Any) -> dict[str, Any]:
    """Control to its answer; of several regions the first one drawn."""
    if not isinstance(result, list):
        raise RefusedAnnotationError("its result is no list")
    values: dict[str, Any] = {}
    for item in result:
        name = item.get("from_name") if isinstance(item, dict) else None
        if name not in (*QUESTIONS, *DETAILS, *_OTHER):
            raise RefusedAnnotationError("it has a control that is not in the labelling configuration")
        if name in values and name != "region":
            raise RefusedAnnotationError(f"{name} is answered twice")
        values.setdefault(name, _value(name, item.get("value")))
    return values


def _value(name: str, value: Any) -> Any:
    try:
        if name == "region":
            return _region(value)
        if name == "rationale":
            given = value["text"]
            answer = given.strip() if isinstance(given, str) else " ".join(given).strip()
        else:
            (answer,) = value["choices"]
            answer = answer.strip()
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise RefusedAnnotationError(f"{name} is malformed") from error
    if len(answer) > _MOST_CHARACTERS:
        raise RefusedAnnotationError(f"{name} is longer than {_MOST_CHARACTERS:,} characters")
    return answer


def _region(value: Mapping[str, Any]) -> Region:
    """Per cent to shares, cut to the picture; a rotated rectangle is taken as if it were upright."""
    left, top, width, height = (float(value[key]) / 100 for key in ("x", "y", "width", "height"))
    x, right = (min(max(edge, 0.0), 1.0) for edge in (left, left + width))
    y, bottom = (min(max(edge, 0.0), 1.0) for edge in (top, top + height))
    if not (right > x and bottom > y):
        raise ValueError("it is empty")
    return Region(round(x, 6), round(y, 6), round(right - x, 6), round(bottom - y, 6))


def _no_answers() -> dict[str, Any]:
    return {**dict.fromkeys((*QUESTIONS, *DETAILS), ""), "severity": 0, "region": None}


def _user(completed_by: Any) -> Any:
    user = completed_by.get("id") if isinstance(completed_by, Mapping) else completed_by
    if user is None:
        raise RefusedAnnotationError("it has no annotator")
    return user


def _seconds(lead_time: Any) -> float:
    """The lead time; 0 where the server has none, as for annotations that were imported."""
    if lead_time is not None and not (isinstance(lead_time, int | float) and 0 <= lead_time < math.inf):
        raise RefusedAnnotationError("its lead time is no number of seconds")
    return round(float(lead_time or 0), 3)


def _utc(moment: Any) -> str:
    try:
        return datetime.fromisoformat(str(moment)).astimezone(UTC).isoformat(timespec="microseconds")
    except ValueError:
        raise RefusedAnnotationError("it has no date") from None
