"""The files of a finalized dataset: every pair with people's answers beside the machine's, and what left it."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from annotation.adjudicated import VOTE
from annotation.answers import FOLDER
from pipelines.relabel import Adjudications, Fate, Labelled, is_settled
from pipelines.stages.write import dropped_table, sorted_records
from pipelines.storage.shards import (
    ShardFile,
    describe,
    place_of,
    places_of,
    shard_count,
    shard_path,
    write_shard,
)
from schemas.canary import with_canary
from schemas.config import Write
from schemas.records import Adjudication, Excluded
from schemas.tables import finalized_schema

STAGE = "finalize"
LABELS = ("label", "role", "hazard", "mechanism", "contrast_group", "rationale")
"""Columns that become what people said; the machine's go to `machine_...`."""
PUBLIC = (
    "annotations.parquet",
    "adjudicated.parquet",
    "adjudication.json",
    "agreement.json",
    "agreement.png",
)
"""What of the annotations goes along; not the gold answers, nor what a project on a server needs."""
_DETAIL = ("method", "scenario", "image_id", "text_id", "p_image", "p_text", "p_joint", "emergence")
_LIGHT = sorted({*Labelled._fields, *_DETAIL, "image_name", "text_name"})

Light = dict[str, Any]
"""A row of `data/` without pictures and text, with its `split`."""


def read_light(source: Path) -> list[Light]:
    """Every row of `data/` without pictures, shard by shard."""
    rows: list[Light] = []
    for path in data_files(source):
        split = path.name.split("-")[0]
        rows += [row | {"split": split} for row in pq.read_table(path, columns=_LIGHT).to_pylist()]
    return rows


def labelled(row: Light) -> Labelled:
    """What the machine says of a row; nulls become empty strings."""
    return Labelled._make(row[name] if name == "label" else row[name] or "" for name in Labelled._fields)


def data_files(source: Path) -> list[Path]:
    """The shards of `data/`, by name."""
    return sorted((source / "data").glob("*.parquet"))


MakeRow = Callable[[dict[str, Any]], dict[str, Any] | None]
"""A row as the build wrote it to the finalized one; None if it leaves."""


def row_maker(found: Mapping[str, Fate], adjudications: Adjudications) -> MakeRow:
    """How rows become finalized ones.

    Args:
        found: The fate of every pair.
        adjudications: By pair id.
    """

    def make(row: dict[str, Any]) -> dict[str, Any] | None:
        fate = found[row["id"]]
        return None if fate.excluded else finalized_row(row, fate, adjudications.get(row["id"]))

    return make


def write_pairs(path: Path, target: Path, make: MakeRow, config: Write, name: str) -> ShardFile:
    """Write one shard of `data/` again; it keeps its name and its range of the hash, and loses what leaves.

    Args:
        path: The shard as the build wrote it.
        target: The folder of the new dataset.
        make: From `row_maker`.
        config: Rows of a row group.
        name: The dataset's name, which its canary is made from.
    """
    shard = f"data/{path.name}"
    rows = (made for row in _rows(path, config.row_group) if (made := make(row)) is not None)
    schema = with_canary(finalized_schema(), name)
    count = write_shard(target / shard, schema, rows, config.row_group)
    return describe(target, shard, path.name.split("-")[0], count)


def finalized_row(row: Mapping[str, Any], fate: Fate, said: Adjudication | None) -> dict[str, Any]:
    """The columns of `finalized_schema` for a row of `pair_schema`."""
    machine = {f"machine_{name}": row[name] for name in LABELS}
    by = "people" if is_settled(said) else "machine"
    return {
        **row,
        **{name: getattr(fate, name) for name in LABELS},
        **machine,
        **_human(said),
        "labelled_by": by,
    }


def _human(said: Adjudication | None) -> dict[str, Any]:
    if said is None:
        names = [name for name in finalized_schema().names if name.startswith("human_")]
        return {**dict.fromkeys(names), "human_status": "unannotated", "rationales": [], "votes": []} | {
            "agreement": None
        }
    settled = said.status == "settled"
    return {
        "human_status": said.status,
        "human_method": said.method,
        "human_confidence": said.confidence,
        "human_label": int(said.joint_harmful == "yes") if settled else None,
        "human_image": said.image_harmful or None,
        "human_text": said.text_harmful or None,
        "human_hazard": said.hazard or None,
        "human_mechanism": said.mechanism or None,
        "human_severity": said.severity or None,
        "human_rationale": said.rationale or None,
        "rationales": list(said.rationales),
        "votes": [dict(zip(VOTE, vote, strict=True)) for vote in said.votes],
        "agreement": said.agreement,
    }


def _rows(path: Path, batch: int) -> Iterator[dict[str, Any]]:
    for some in pq.ParquetFile(path).iter_batches(batch_size=batch):
        yield from some.to_pylist()


def exclusions(rows: Iterable[Light], found: Mapping[str, Fate]) -> list[Excluded]:
    """Rows for `excluded/`: the pairs that leave, and the images and texts that no pair uses any more."""
    rows = list(rows)
    leaving = [row for row in rows if found[row["id"]].excluded]
    dropped = [_excluded_pair(row, found[row["id"]]) for row in leaving]
    for modality in ("image", "text"):
        used = {row[f"{modality}_id"] for row in rows if not found[row["id"]].excluded}
        unused = {row[f"{modality}_id"]: row for row in leaving if row[f"{modality}_id"] not in used}
        dropped += [
            Excluded(modality, id, row[f"{modality}_name"] or "", STAGE, "unused", detail=row["split"])
            for id, row in sorted(unused.items())
        ]
    return dropped


def _excluded_pair(row: Light, fate: Fate) -> Excluded:
    detail = {name: row[name] for name in _DETAIL} | {"role": row["role"], "decided_in": fate.decided_in}
    name = f"{row['image_id']}+{row['text_id']}"
    return Excluded("candidate", row["id"], name, STAGE, fate.excluded, detail=json.dumps(detail))


def write_excluded(source: Path, target: Path, new: Iterable[Excluded], config: Write) -> list[ShardFile]:
    """Write `excluded/` with further rows, each in the shard of its hash, and return the files."""
    table, rows = dropped_table("excluded"), list(new)
    old = sorted((source / "excluded").glob("*.parquet"))
    shards = len(old) or shard_count(len(rows), config.rows_per_shard)
    files = []
    for number in range(shards):
        low, high = places_of(number, shards)
        own = [
            row
            for row in rows
            if low <= (place := place_of(table.key_of(row))) and (not high or place < high)
        ]
        before = [Excluded(**row) for row in pq.read_table(old[number]).to_pylist()] if old else []
        records = sorted_records([*before, *own], table)
        path = shard_path("excluded", "excluded", number, shards)
        count = write_shard(target / path, table.schema, map(table.row_of, records), config.row_group)
        files.append(describe(target, path, "excluded", count))
    return files


def copy_failed(source: Path, target: Path) -> list[ShardFile]:
    """Copy `failed/` and return its files."""
    files = []
    for path in sorted((source / "failed").glob("*.parquet")):
        (target / "failed").mkdir(exist_ok=True)
        shutil.copyfile(path, target / "failed" / path.name)
        files.append(describe(target, f"failed/{path.name}", "failed", pq.read_metadata(path).num_rows))
    return files


def copy_annotations(source: Path, target: Path) -> None:
    """Copy what of the annotations may be published; annotators are salted hashes there, and the salt stays."""
    (target / FOLDER).mkdir()
    for name in PUBLIC:
        if (source / FOLDER / name).is_file():
            shutil.copyfile(source / FOLDER / name, target / FOLDER / name)
