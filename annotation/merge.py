"""Tasks with their annotations into the store: what is new, what changed, what is gone."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

from annotation.store import Rejected, Seen, Store
from annotation.submission import Context, RefusedAnnotationError, annotation_id, read


class News(NamedTuple):
    """How many annotations of the project came, changed and went."""

    new: int
    updated: int
    deleted: int


def merge(
    store: Store, project: int, tasks: Iterable[Mapping[str, Any]], context: Context, *, everything: bool
) -> News:
    """Put the annotations of tasks into the store, in place of what it had of these tasks.

    Args:
        store: Changed in place.
        project: The project's number on its server.
        tasks: As `GET /api/tasks` gives them, with their annotations.
        context: What annotations are read against.
        everything: Whether these are all tasks of the project, so that others are gone.
    """
    seen = store.projects.get(context.project, Seen())
    known = {task: dict(annotations) for task, annotations in seen.tasks.items()}
    counts = Counter[str]()
    listed: dict[str, dict[str, str]] = {}
    for task in tasks:
        number = str(task["id"])
        listed[number] = {str(given["id"]): str(given["updated_at"]) for given in task["annotations"] or ()}
        for given in task["annotations"] or ():
            before = known.get(number, {}).get(str(given["id"]))
            if before != listed[number][str(given["id"])]:
                counts["new" if before is None else "updated"] += 1
            elif not everything:
                continue
            _take(store, project, task, given, context)
    for number in known.keys() if everything else known.keys() & listed.keys():
        for gone in known[number].keys() - listed.get(number, {}).keys():
            counts["deleted"] += 1
            _forget(store, annotation_id(context.project, int(gone)))
    kept = listed if everything else {**known, **listed}
    _remember(store, context, seen, kept)
    return News(counts["new"], counts["updated"], counts["deleted"])


def _remember(store: Store, context: Context, seen: Seen, tasks: Mapping[str, Mapping[str, str]]) -> None:
    """Note what was read; and gold may have been named since an annotation was."""
    annotated = {number: annotations for number, annotations in tasks.items() if annotations}
    store.projects[context.project] = seen._replace(tasks=annotated)
    for key, row in store.annotations.items():
        store.annotations[key] = row._replace(gold=row.pair_id in context.gold and row.round == 1)


def _take(
    store: Store, project: int, task: Mapping[str, Any], given: Mapping[str, Any], context: Context
) -> None:
    key = annotation_id(context.project, given["id"])
    _forget(store, key)
    data = task["data"] if isinstance(task["data"], dict) else {}
    try:
        store.annotations[key] = read(data, given, context)
    except RefusedAnnotationError as error:
        pair = str(data.get("pair_id"))
        store.rejected[key] = Rejected(
            key,
            project,
            int(task["id"]),
            int(given["id"]),
            pair if pair in context.pairs else "",
            str(error),
            str(given["updated_at"]),
        )


def _forget(store: Store, key: str) -> None:
    store.annotations.pop(key, None)
    store.rejected.pop(key, None)
