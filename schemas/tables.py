"""Arrow schemas of every table that is written; with the `huggingface` metadata, so `datasets` decodes images."""

from __future__ import annotations

import json
from typing import Any

import pyarrow as pa

LABELS = ("benign", "harmful")
"""Class names of the column `label`, in the order of their numbers."""

_IMAGE = pa.struct([("bytes", pa.binary()), ("path", pa.string())])
_SCREENING = pa.list_(pa.struct([("member", pa.string()), ("p", pa.float32())]))
_VOTE = pa.struct([pa.field(name, pa.string()) for name in ("annotator", "image", "text", "joint")])
_CLASS_COLUMNS = ("label", "machine_label", "human_label")
_PROVENANCE = ("source", "name", "origin", "licence", "caption", "generator", "prompt")
MEDIA_COLUMNS = ("image", "composed")
"""Columns of encoded pictures: written PLAIN and uncompressed."""


def _asset_fields(modality: str) -> list[pa.Field]:
    """Columns that say where one modality of a pair came from and how it was screened."""
    strings = [pa.field(f"{modality}_{name}", pa.string()) for name in (*_PROVENANCE, "cluster")]
    return [
        pa.field(f"{modality}_id", pa.string()),
        *strings,
        pa.field(f"{modality}_seed", pa.int64()),
        pa.field(f"{modality}_screening", _SCREENING),
    ]


def pair_schema() -> pa.Schema:
    """The schema of `data/`: one row a pair. Probabilities are in [0, 1]; `image` and `composed` are encoded."""
    fields = [
        pa.field("id", pa.string()),
        pa.field("image", _IMAGE),
        pa.field("text", pa.string()),
        pa.field("composed", _IMAGE),
        pa.field("label", pa.int64()),
        pa.field("role", pa.string()),
        pa.field("hazard", pa.string()),
        pa.field("mechanism", pa.string()),
        pa.field("contrast_group", pa.string()),
        pa.field("scenario", pa.string()),
        pa.field("method", pa.string()),
        pa.field("retrieval_score", pa.float64()),
        pa.field("p_image", pa.float64()),
        pa.field("p_text", pa.float64()),
        pa.field("p_joint", pa.float64()),
        pa.field("emergence", pa.float64()),
        pa.field("judge", pa.string()),
        pa.field("rationale", pa.string()),
        *_asset_fields("image"),
        *_asset_fields("text"),
    ]
    return pa.schema(fields).with_metadata(_huggingface(fields))


def excluded_schema() -> pa.Schema:
    """The schema of `excluded/`: what was dropped on purpose; field meanings as in `records.Excluded`.

    The candidates' columns are empty for images and texts.
    """
    names = ("modality", "id", "name", "stage", "reason")
    fields = [pa.field(name, pa.string()) for name in names]
    fields += [
        pa.field("score", pa.float64()),
        pa.field("threshold", pa.float64()),
        pa.field("detail", pa.string()),
    ]
    return pa.schema(fields)


def failed_schema() -> pa.Schema:
    """The schema of `failed/`: what could not be processed; field meanings as in `records.Failed`."""
    return pa.schema(
        [pa.field(n, pa.string()) for n in ("modality", "id", "name", "stage", "error", "detail")]
    )


def annotation_schema() -> pa.Schema:
    """The schema of `annotations/annotations.parquet`: field meanings as in `records.Annotation`."""
    region = pa.struct([pa.field(name, pa.float64()) for name in ("x", "y", "width", "height")])
    answers = ("image_harmful", "text_harmful", "joint_harmful", "hazard", "mechanism")
    return pa.schema(
        [
            *(pa.field(name, pa.string()) for name in ("id", "pair_id", "annotator")),
            pa.field("round", pa.int64()),
            *(pa.field(name, pa.bool_()) for name in ("gold", "skipped")),
            *(pa.field(name, pa.string()) for name in answers),
            pa.field("severity", pa.int64()),
            *(pa.field(name, pa.string()) for name in ("harmed", "rationale")),
            pa.field("region", region),
            pa.field("seconds", pa.float64()),
            *(pa.field(name, pa.string()) for name in ("guideline", "updated")),
        ]
    )


def adjudication_schema() -> pa.Schema:
    """The schema of `annotations/adjudicated.parquet`: field meanings as in `records.Adjudication`."""
    answers = ("joint_harmful", "image_harmful", "text_harmful", "hazard", "mechanism")
    return pa.schema(
        [
            *(pa.field(name, pa.string()) for name in ("pair_id", *answers)),
            pa.field("severity", pa.int64()),
            *(pa.field(name, pa.float64()) for name in ("confidence", "agreement")),
            pa.field("votes", pa.list_(_VOTE)),
            pa.field("rationale", pa.string()),
            pa.field("rationales", pa.list_(pa.string())),
            *(pa.field(name, pa.string()) for name in ("status", "method")),
        ]
    )


def finalized_schema() -> pa.Schema:
    """The schema of `data/` after `finalize`: the columns of `pair_schema`, and what people said.

    `label`, `role`, `hazard`, `mechanism`, `contrast_group` and `rationale` are people's where `labelled_by` is
    `people`, and otherwise the machine's; the machine's own are always in the columns `machine_...`. A role or a
    group can change without a label: a contrast partner whose emergent pair people found benign, or that left the
    dataset, is a plain benign pair.

    `human_status` is `settled`, `tie` or `low_confidence` as in `records.Adjudication`, or `unannotated`; only
    settled pairs have the other answers of people (`human_severity` 1 to 4; a null `human_label` is no answer).
    All votes, all rationales and the share of agreeing votes are there for every annotated pair.
    """
    pairs = pair_schema()
    words = ("label", "role", "hazard", "mechanism", "contrast_group", "rationale")
    said = ("image", "text", "hazard", "mechanism", "rationale")
    fields = [
        *pairs,
        pa.field("labelled_by", pa.string()),
        *(pairs.field(name).with_name(f"machine_{name}") for name in words),
        *(pa.field(f"human_{name}", pa.string()) for name in ("status", "method")),
        pa.field("human_confidence", pa.float64()),
        pa.field("human_label", pa.int64()),
        *(pa.field(f"human_{name}", pa.string()) for name in said),
        pa.field("human_severity", pa.int64()),
        pa.field("rationales", pa.list_(pa.string())),
        pa.field("votes", pa.list_(_VOTE)),
        pa.field("agreement", pa.float64()),
    ]
    return pa.schema(fields).with_metadata(_huggingface(fields))


def _feature(field: pa.Field) -> Any:
    if field.type == _IMAGE:
        return {"_type": "Image"}
    if field.name in _CLASS_COLUMNS:
        return {"names": list(LABELS), "_type": "ClassLabel"}
    if field.type == _SCREENING:
        member = {"member": _value("string"), "p": _value("float32")}
        return {"feature": member, "_type": "List"}
    if field.type == pa.list_(_VOTE):
        return {"feature": {member.name: _value("string") for member in _VOTE}, "_type": "List"}
    if field.type == pa.list_(pa.string()):
        return {"feature": _value("string"), "_type": "List"}
    return _value({"double": "float64"}.get(str(field.type), str(field.type)))


def _value(dtype: str) -> dict[str, str]:
    return {"dtype": dtype, "_type": "Value"}


def _huggingface(fields: list[pa.Field]) -> dict[str, str]:
    features = {field.name: _feature(field) for field in fields}
    return {"huggingface": json.dumps({"info": {"features": features}})}


__all__ = [
    "LABELS",
    "MEDIA_COLUMNS",
    "adjudication_schema",
    "annotation_schema",
    "excluded_schema",
    "failed_schema",
    "finalized_schema",
    "pair_schema",
]
