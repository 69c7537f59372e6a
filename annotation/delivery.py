"""Tasks arrive once: what the project has is read before and after, and copies that a crash left are removed."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from annotation.connection import LostAnswerError, NotThereError
from annotation.dataset import AnnotationError
from annotation.studio import Studio

TRIES = 3
"""How often a push goes on by itself after the server's answer was lost."""
_PAUSE = 2.0


class Copy(NamedTuple):
    """A task of the project that shows a pair."""

    task: int
    pair: str
    annotated: bool
    """Whether somebody answered or skipped it."""


def survey(studio: Studio, round_number: int, after: int = 0) -> list[Copy]:
    """Read which pairs the project has in a round; tasks that push did not make are passed over.

    Args:
        studio: The project.
        round_number: 1 or 2.
        after: Only tasks with a higher number.
    """
    copies = []
    for task in studio.tasks(after):
        data = task["data"] or {}
        if isinstance(data.get("pair_id"), str) and data.get("round") == round_number:
            answered = bool(task["total_annotations"] or task["cancelled_annotations"])
            copies.append(Copy(int(task["id"]), data["pair_id"], answered))
    return copies


def surplus(copies: Iterable[Copy]) -> list[int]:
    """Tasks to delete, so that every pair keeps its annotated tasks, or else its first one."""
    by_pair: defaultdict[str, list[Copy]] = defaultdict(list)
    for copy in copies:
        by_pair[copy.pair].append(copy)
    doomed = []
    for same in by_pair.values():
        idle = sorted(copy.task for copy in same if not copy.annotated)
        doomed += idle if len(idle) < len(same) else idle[1:]
    return sorted(doomed)


def remove(studio: Studio, tasks: Iterable[int]) -> int:
    """Delete tasks unless somebody has begun to answer them meanwhile; returns how many were deleted."""
    removed = 0
    for task in tasks:
        try:
            if not studio.annotated(task):
                studio.delete(task)
                removed += 1
        except NotThereError:
            continue
    return removed


def deliver(
    studio: Studio,
    tasks: Sequence[Mapping[str, Any]],
    before: Sequence[Copy],
    *,
    round_number: int,
    batch: int,
    progress: Callable[[int], None] = lambda arrived: None,
) -> int:
    """Send tasks in their order, each pair once, whatever becomes of the server's answers.

    Args:
        studio: The project.
        tasks: As the import takes them; `data.pair_id` is in none of `before` and differs between them.
        before: What `survey` found before.
        round_number: 1 or 2.
        batch: Tasks a request; the server takes all of a request or none.
        progress: Called with the number of tasks that have arrived for certain.

    Returns:
        How many surplus copies were deleted.

    Raises:
        AnnotationError: The server refused, went away, or lost its answers again and again.
    """
    last = max((copy.task for copy in before), default=0)
    known = 0
    lost: Exception | None = None
    for attempt in range(TRIES + 1):
        try:
            arrived = survey(studio, round_number, last)
            pairs = {copy.pair for copy in arrived}
            missing = [task for task in tasks if task["data"]["pair_id"] not in pairs]
            known = len(tasks) - len(missing)
            if not missing:
                return remove(studio, surplus([*before, *arrived]))
            if attempt == TRIES:
                break
            for start in range(0, len(missing), batch):
                progress(known)
                studio.send(missing[start : start + batch])
                known += len(missing[start : start + batch])
            progress(known)
        except LostAnswerError as error:
            lost = error
            time.sleep(_PAUSE * (attempt + 1))
        except AnnotationError as error:
            raise _incomplete(error, known, len(tasks)) from None
    raise _incomplete(lost or f"{studio.url} accepted tasks but does not list them", known, len(tasks))


def _incomplete(reason: object, known: int, total: int) -> AnnotationError:
    return AnnotationError(
        f"{reason}; {known:,} of {total:,} tasks have arrived for certain: "
        "give the same command again, which sends only what is missing"
    )
