"""Planted annotators, whose errors are known, and a small dataset folder for them to annotate."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from pipelines.storage.manifest import dataset_digest, write_manifest
from pipelines.storage.shards import describe, write_shard
from schemas.records import Annotation
from schemas.tables import annotation_schema, excluded_schema, pair_schema

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


HAZARDS = {"phy": "poisoning", "prv": "disclosure", "ncr": "theft"}
PARTS = {
    "emergent": ("", ""),
    "contrast_image": ("other", ""),
    "contrast_text": ("", "other"),
    "benign": ("own", "own"),
}
"""Role to what tells its image and its text from those of the emergent pair."""


def pair_id(group: int, role: str) -> str:
    """The id of a pair of `plant_dataset`."""
    return hashlib.sha256(f"pair {group} {role}".encode()).hexdigest()


def plant_dataset(root: Path, groups: int = 6) -> Path:
    """A dataset folder as a build leaves it: groups of four pairs, one of each role, in two splits."""
    rows = [_pair(group, role) for group in range(groups) for role in PARTS]
    shards = {
        "train": [row for row in rows if row["seed"] % 2 == 0],
        "test": [r for r in rows if r["seed"] % 2],
    }
    files = []
    for split, own in shards.items():
        ordered = sorted(own, key=lambda row: row["id"])
        made = [{name: row.get(name) for name in pair_schema().names} for row in ordered]
        path = f"data/{split}-00000-of-00001.parquet"
        files.append(describe(root, path, split, write_shard(root / path, pair_schema(), made, 5)))
    dropped = [_dropped("image", "i", "too_small"), _dropped("candidate", "c", "ambiguous")]
    path = "excluded/excluded-00000-of-00001.parquet"
    files.append(describe(root, path, "excluded", write_shard(root / path, excluded_schema(), dropped, 5)))
    assets = {name: len({row[f"{name}_id"] for row in rows}) for name in ("image", "text")}
    counts = {"ingest images": {"in": assets["image"] + 1}, "ingest texts": {"in": assets["text"]}}
    manifest = {
        "configuration": {"build": {"name": "planted"}, "write": {"row_group": 5}},
        "counts": counts | {"judge": {"in": len(rows) + 1}},
        "files": [file._asdict() for file in files],
        "dataset_digest": dataset_digest(files),
        "scores": {"precision": {"value": 0.9, "of": groups}},
    }
    write_manifest(root / "manifest.json", manifest)
    return root


def _pair(group: int, role: str) -> dict[str, Any]:
    out, (image, text) = io.BytesIO(), PARTS[role]
    Image.new("RGB", (32, 24), (40 * group % 256, 120, 60 + len(role))).save(out, "PNG")
    picture = {"bytes": out.getvalue(), "path": "x.png"}
    harmful, alone = role == "emergent", role == "benign"
    hazard = "" if alone else list(HAZARDS)[group % len(HAZARDS)]
    return {
        "seed": group,
        "id": pair_id(group, role),
        "image": picture,
        "composed": picture,
        "text": f"Text {group} {text}",
        "label": int(harmful),
        "role": role,
        "hazard": hazard,
        "mechanism": HAZARDS.get(hazard, ""),
        "contrast_group": "" if alone else pair_id(group, "emergent"),
        "rationale": "The machine says why." if harmful else "",
        "method": "scenario",
        "scenario": "s1",
        **dict.fromkeys(("p_image", "p_text"), 0.01),
        "p_joint": 0.97 if harmful else 0.02,
        "emergence": 8.0 if harmful else 0.5,
        "image_id": f"image {group} {image}",
        "text_id": f"text {group} {text}",
        "image_name": f"{group}{image}.png",
        "text_name": f"{group}{text}.txt",
    }


def _dropped(modality: str, id: str, reason: str) -> dict[str, Any]:
    row = {name: None for name in excluded_schema().names}
    return row | {
        "modality": modality,
        "id": id,
        "name": id,
        "stage": "ingest",
        "reason": reason,
        "detail": "",
    }
