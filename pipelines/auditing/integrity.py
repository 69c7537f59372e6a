"""Integrity checks: are the files those of the manifest, do their rows make sense, and does every picture decode?"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.auditing.pictures import Pictures
from pipelines.auditing.results import Check
from pipelines.auditing.rows import Rows
from pipelines.storage.manifest import Ledger, reconcile
from pipelines.storage.shards import KINDS, ShardFile, describe
from schemas.records import ROLES
from schemas.tables import finalized_schema, pair_schema

ORIGINS = ("generated", "retrieved")
LICENCES = {
    "image": "a column `licence` in the metadata.csv of the folder, or in the table, would name it",
    "text": "a column `licence` beside the texts would name it",
}
"""Modality to where a source says under which licence its rows are."""


def check_integrity(rows: Rows, pictures: Pictures) -> Iterator[Check]:
    """Every check of files, schema, counts, rows and pictures; each lists what is wrong."""
    yield _check("digests", "Files as the manifest says", wrong_files(rows))
    yield _check("schema", "Shards of the declared schema", wrong_schemas(rows))
    yield _check("counts", "Counts that add up", wrong_counts(rows))
    yield _check("ids", "Ids that are unique and made from their parts", wrong_ids(rows, pictures))
    yield _check("labels", "Labels, roles and origins that agree", wrong_labels(rows))
    yield _check("contrast_groups", "Contrast partners beside their emergent pair", wrong_groups(rows))
    yield _check("pictures", "Pictures that decode under the caps", broken_pictures(rows, pictures))
    yield _check("licences", "Licences of retrieved assets", missing_licences(rows))


def wrong_files(rows: Rows) -> list[str]:
    """Files that are missing, changed or not of the manifest."""
    listed = {entry["path"]: ShardFile(**entry) for entry in rows.manifest.get("files", [])}
    present = {f"{folder}/{file.name}" for folder in KINDS for file in (rows.path / folder).glob("*.parquet")}
    wrong = [f"{path} is not in the manifest" for path in sorted(present - listed.keys())]
    for path, entry in sorted(listed.items()):
        if path not in present:
            wrong.append(f"{path} is missing")
        elif describe(rows.path, path, entry.kind, entry.rows) != entry:
            wrong.append(f"{path} is not the file that the build wrote: size or sha256 differs")
    return wrong


def wrong_schemas(rows: Rows) -> list[str]:
    """Shards whose columns, or what `datasets` reads of them, are not those of `schemas.tables`."""
    declared = finalized_schema() if "human" in rows.manifest else pair_schema()
    return [
        f"{name}: {why}" for name, schema in rows.schemas.items() if (why := _difference(schema, declared))
    ]


def wrong_counts(rows: Rows) -> list[str]:
    """Rows of the manifest that do not add up, or are not those of the shards."""
    manifest = rows.manifest
    ledgers = {modality: Ledger(modality, **counts) for modality, counts in manifest.get("rows", {}).items()}
    wrong = reconcile(ledgers.values())
    for entry in manifest.get("files", []):
        path = rows.path / entry["path"]
        if path.is_file() and (found := _rows_of(path)) != entry["rows"]:
            wrong.append(f"{entry['path']} has {found:,} rows, the manifest says {entry['rows']:,}")
    if "candidate" in ledgers and ledgers["candidate"].written != len(rows):
        said = ledgers["candidate"].written
        wrong.append(f"the manifest says {said:,} pairs were written, the shards have {len(rows):,}")
    return wrong


def wrong_ids(rows: Rows, pictures: Pictures) -> list[str]:
    """Ids that come twice, and image or text ids that are not the sha256 of their content."""
    columns = rows.columns
    wrong = [f"{id} comes {n} times" for id, n in Counter(columns["id"]).items() if n > 1]
    parts = zip(
        columns["id"], columns["image_id"], pictures.images, columns["text_id"], columns["text"], strict=True
    )
    for id, image, digest, text_id, text in parts:
        if image != digest:
            wrong.append(f"{id}: its image is not the one of its image_id")
        if text_id != hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest():
            wrong.append(f"{id}: its text is not the one of its text_id")
    return wrong


def wrong_labels(rows: Rows) -> list[str]:
    """Rows whose label is not that of their role, or with an unknown role or origin."""
    names = ("id", "label", "role", "image_origin", "text_origin")
    wrong = []
    for id, label, role, *origins in zip(*(rows.columns[name] for name in names), strict=True):
        if role not in ROLES:
            wrong.append(f"{id}: the role {role!r} is unknown")
        elif label != int(role == "emergent"):
            wrong.append(f"{id}: the label of its role {role} is not {label}")
        wrong += [f"{id}: the origin {origin!r} is unknown" for origin in origins if origin not in ORIGINS]
    return wrong


def wrong_groups(rows: Rows) -> list[str]:
    """Rows whose contrast group has no emergent pair of that id in their split."""
    names = ("id", "split", "role", "contrast_group")
    found = list(zip(*(rows.columns[name] for name in names), strict=True))
    anchors = {(split, id) for id, split, role, group in found if role == "emergent" and group == id}
    wrong = []
    for id, split, role, group in found:
        if not group and role != "benign":
            wrong.append(f"{id}: it is {role} and has no contrast group")
        elif group and (split, group) not in anchors:
            wrong.append(f"{id}: no emergent pair {group[:16]} is in {split}")
    return wrong


def broken_pictures(rows: Rows, pictures: Pictures) -> list[str]:
    """Images and composed pictures that do not decode under the caps of the configuration."""
    shown = zip(rows.columns["id"], pictures.images, pictures.composed, strict=True)
    return [
        f"{id}: its {name} cannot be used: {pictures.found[digest].error}"
        for id, image, composed in shown
        for name, digest in (("image", image), ("composed picture", composed))
        if pictures.found[digest].error
    ]


def missing_licences(rows: Rows) -> list[str]:
    """Retrieved images and texts that say nothing of their licence."""
    wrong = []
    for modality in ("image", "text"):
        names = ("id", f"{modality}_origin", f"{modality}_licence")
        found = zip(*(rows.columns[name] for name in names), strict=True)
        wrong += [
            f"{id}: its {modality} was retrieved and has no licence ({LICENCES[modality]})"
            for id, origin, licence in found
            if origin == "retrieved" and not (licence or "").strip()
        ]
    return wrong


def _check(name: str, title: str, wrong: Sequence[str]) -> Check:
    more = f" (and {len(wrong) - 1:,} more)" if len(wrong) > 1 else ""
    reason = f"{wrong[0]}{more}." if wrong else "Nothing wrong."
    return Check("integrity", name, title, not wrong, len(wrong), None, {"at_most": 0}, reason)


def _difference(schema: pa.Schema, declared: pa.Schema) -> str:
    if not schema.equals(declared):
        unlike = [f.name for f in declared if f not in schema] + sorted(
            set(schema.names) - set(declared.names)
        )
        return f"columns differ: {', '.join(unlike) or 'their order'}"
    read: dict[bytes, Any] = schema.metadata or {}
    if read.get(b"huggingface") != declared.metadata[b"huggingface"]:
        return "its `huggingface` metadata is not that of the columns"
    return ""


def _rows_of(path: Any) -> int:
    return int(pq.read_metadata(path).num_rows)
