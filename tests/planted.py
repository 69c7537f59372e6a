"""Planted annotators: people whose errors are known, answering for the pairs of a dataset folder."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from schemas.records import Annotation
from schemas.tables import annotation_schema

COLUMNS = ["id", "label", "hazard", "mechanism", "text"]


class Person(NamedTuple):
    """How an annotator answers whether a pair is harmful; they find nothing harmful alone."""

    name: str
    says_yes: float
    """Probability of yes if the pair is harmful; otherwise of no."""
    says_no: float
    """Probability of no if the pair is benign; otherwise of yes."""
    unsure: float = 0.0


def annotation(pair_id: str, annotator: str, joint: str = "no", **fields: Any) -> Annotation:
    """One annotation; hazard, mechanism and rationale are filled where `joint` is yes."""
    told = {"hazard": "phy", "mechanism": "poisoning", "severity": 2, "rationale": f"{annotator} says why."}
    answers = {"image_harmful": "no", "text_harmful": "no", "joint_harmful": joint}
    empty: dict[str, Any] = {"hazard": "", "mechanism": "", "severity": 0, "rationale": ""}
    made = {"pair_id": pair_id, "annotator": annotator, "round": 1, "gold": False, "skipped": False}
    rest = {
        "harmed": "",
        "region": None,
        "seconds": 20.0,
        "guideline": "1",
        "updated": "2026-01-01T00:00:00Z",
    }
    row = made | answers | (told if joint == "yes" else empty) | rest | fields
    content = f"{pair_id} {annotator} {row['round']} {row['updated']}"
    return Annotation(**{"id": hashlib.sha256(content.encode()).hexdigest(), **row})


def skip(pair_id: str, annotator: str, **fields: Any) -> Annotation:
    """An annotation without answers."""
    nothing = {"image_harmful": "", "text_harmful": ""}
    return annotation(pair_id, annotator, "", skipped=True, **nothing, **fields)


def answer(
    truth: Mapping[str, bool], people: Iterable[Person], *, per_pair: int, seed: int = 0
) -> list[Annotation]:
    """Annotations of every pair by some of the people, wrong as often as each is."""
    rng, everybody = np.random.default_rng(seed), list(people)
    made = []
    for pair_id, harmful in truth.items():
        for number in rng.choice(len(everybody), per_pair, replace=False):
            person = everybody[number]
            right = rng.random() < (person.says_yes if harmful else person.says_no)
            said = "yes" if right == harmful else "no"
            joint = "unsure" if rng.random() < person.unsure else said
            made.append(annotation(pair_id, person.name, joint, seconds=round(float(rng.gamma(9, 4)), 1)))
    return made


def pairs_of(dataset: Path) -> dict[str, dict[str, Any]]:
    """The rows of a dataset by id, without pictures."""
    files = sorted((dataset / "data").glob("*.parquet"))
    rows = [row for path in files for row in pq.read_table(path, columns=COLUMNS).to_pylist()]
    return {row["id"]: row for row in rows}


def truth_of(dataset: Path) -> dict[str, bool]:
    """Whether each pair is harmful by its label."""
    return {id: bool(row["label"]) for id, row in pairs_of(dataset).items()}


def write_annotations(dataset: Path, annotations: Iterable[Annotation]) -> Path:
    """Write them the way they are pulled."""
    path = dataset / "annotations" / "annotations.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    rows = [
        one._asdict() | {"region": one.region._asdict() if one.region else None}
        for one in sorted(annotations, key=lambda one: one.id)
    ]
    pq.write_table(pa.Table.from_pylist(rows, annotation_schema()), path)
    return path


def write_gold(dataset: Path, known: Mapping[str, str]) -> None:
    """Write what is known of some pairs: id to yes or no."""
    rows = [{"pair_id": id, "joint_harmful": answer} for id, answer in sorted(known.items())]
    path = dataset / "annotations" / "gold.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows), path)
