"""What has been pulled: the annotations, those that were refused, and what is needed to bring only news."""

from __future__ import annotations

import json
import os
import secrets
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from annotation.dataset import AnnotationError, replaced, write_json, write_table
from schemas.records import Annotation, Region
from schemas.tables import annotation_schema

ANNOTATIONS = "annotations.parquet"
REJECTED = "rejected.jsonl"
STATE = "pulled.json"
SALT = "salt"
_SALT_BYTES = 32


class Rejected(NamedTuple):
    """An annotation that was refused; it holds nothing that the annotator wrote."""

    id: str
    project: int
    task: int
    annotation: int
    """The server's number."""
    pair_id: str
    reason: str
    updated: str


class Seen(NamedTuple):
    """What is known of one project."""

    since: str = ""
    """Tasks changed before were read for good (ISO 8601 in UTC); empty before the first pull."""
    tasks: Mapping[str, Mapping[str, str]] = {}
    """Task to its annotations, and annotation to the time of its last change."""


class Store(NamedTuple):
    """Everything pulled into a dataset; the keys are ids of annotations and of projects."""

    annotations: dict[str, Annotation]
    rejected: dict[str, Rejected]
    projects: dict[str, Seen]


def load(folder: Path) -> Store:
    """Read what was pulled before; AnnotationError if a file is damaged."""
    import pyarrow as pa

    try:
        projects = {key: Seen(**seen) for key, seen in _json(folder / STATE).items()}
        rejected = [Rejected(**json.loads(line)) for line in _lines(folder / REJECTED)]
        annotations = [_record(row) for row in _rows(folder / ANNOTATIONS)]
    except (ValueError, TypeError, pa.ArrowException) as error:
        raise AnnotationError(
            f"a file in {folder} is damaged ({str(error)[:200]}): delete {ANNOTATIONS}, {REJECTED} and {STATE}, "
            "and pull again"
        ) from None
    return Store({row.id: row for row in annotations}, {row.id: row for row in rejected}, projects)


def save(folder: Path, store: Store) -> None:
    """Write all files, each whole; the state comes last, so that what a crash loses is pulled again."""
    rows = [_row(store.annotations[key]) for key in sorted(store.annotations)]
    write_table(folder / ANNOTATIONS, rows, annotation_schema())
    with replaced(folder / REJECTED) as temporary:
        lines = [json.dumps(store.rejected[key]._asdict()) + "\n" for key in sorted(store.rejected)]
        temporary.write_text("".join(lines), encoding="utf-8")
    write_json(folder / STATE, {key: seen._asdict() for key, seen in store.projects.items()})


def salt(folder: Path) -> bytes:
    """The dataset's secret salt, made at the first call, which only its owner may read.

    Raises:
        AnnotationError: It is damaged, or gone although annotations hashed with it are there.
    """
    path = folder / SALT
    if not path.exists():
        if (folder / ANNOTATIONS).exists():
            raise AnnotationError(f"{path} is gone, so annotators would get new names: restore it")
        with replaced(path) as temporary:
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "wb") as file:
                file.write(secrets.token_bytes(_SALT_BYTES))
    found = path.read_bytes()
    if len(found) != _SALT_BYTES:
        raise AnnotationError(f"{path} is damaged: it has {len(found)} bytes, not {_SALT_BYTES}")
    return found


def _row(annotation: Annotation) -> dict[str, Any]:
    region = annotation.region._asdict() if annotation.region else None
    return {**annotation._asdict(), "region": region}


def _record(row: Mapping[str, Any]) -> Annotation:
    region = Region(**row["region"]) if row["region"] else None
    return Annotation(**{**row, "region": region})


def _rows(path: Path) -> Iterable[dict[str, Any]]:
    import pyarrow.parquet as pq

    rows: list[dict[str, Any]] = pq.read_table(path).to_pylist() if path.exists() else []
    return rows


def _lines(path: Path) -> list[str]:
    return path.read_text(encoding="utf-8").splitlines() if path.exists() else []


def _json(path: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return content
