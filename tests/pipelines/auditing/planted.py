"""A tiny dataset written with the real shard writer, in which each test plants its fault."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from pipelines.storage.manifest import Ledger, build_manifest, read_manifest, write_manifest
from pipelines.storage.shards import describe, shard_path, write_shard
from schemas.config import BuildConfig
from schemas.tables import pair_schema

SPLITS = {"train": 24, "validation": 4, "test": 22}
"""Contrast sets of each split."""
WORDS = (
    "amber",
    "birch",
    "cedar",
    "delta",
    "ember",
    "fjord",
    "grove",
    "heath",
    "inlet",
    "jetty",
    "knoll",
    "larch",
    "marsh",
    "north",
    "ocean",
    "plain",
)
Rows = dict[str, list[dict[str, Any]]]
Change = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Told the split and a row, gives the row to write."""


def _random(*parts: object) -> np.random.Generator:
    return np.random.default_rng(list(hashlib.sha256("/".join(map(str, parts)).encode()).digest()))


def picture(name: str, encoding: str = "JPEG") -> bytes:
    """A picture of large blocks, unlike those of other names."""
    small = Image.fromarray(_random(name).integers(0, 255, (6, 6, 3), dtype=np.uint8))
    out = io.BytesIO()
    small.resize((96, 96), Image.Resampling.NEAREST).save(out, encoding)
    return out.getvalue()


def words(name: str) -> str:
    """A text of ten words that no other name has in that order."""
    return " ".join(_random(name, "words").choice(WORDS, 10))


def with_parts(row: dict[str, Any], data: bytes, text: str) -> dict[str, Any]:
    """The row with another image and text, and the ids that follow from them."""
    image_id, text_id = hashlib.sha256(data).hexdigest(), hashlib.sha256(text.encode()).hexdigest()
    return row | {
        "image": {"bytes": data, "path": "image.jpg"}, "image_id": image_id, "image_cluster": image_id,
        "text": text, "text_id": text_id, "text_cluster": text_id,
    }  # fmt: skip


def _row(split: str, group: str, role: str, image: str, text: str) -> dict[str, Any]:
    row: dict[str, Any] = {field.name: None for field in pair_schema()}
    id = group if role == "emergent" else hashlib.sha256(f"{group} {role}".encode()).hexdigest()
    row |= {"id": id, "role": role, "label": int(role == "emergent"), "contrast_group": group}
    row |= {
        "hazard": "phy",
        "mechanism": "poisoning",
        "composed": {"bytes": picture("composed"), "path": "c.jpg"},
    }
    row |= {f"{m}_{name}": "drawn" for m in ("image", "text") for name in ("source", "generator")}
    row |= {f"{m}_origin": "generated" for m in ("image", "text")}
    return with_parts(row, picture(f"{split} image {image}"), words(f"{split} text {text}"))


def clean_rows() -> Rows:
    """Two emergent pairs and, with their parts exchanged, two benign ones: every asset is as often either."""
    rows: Rows = {}
    for split, sets in SPLITS.items():
        found = rows.setdefault(split, [])
        for first in range(0, sets, 2):
            a, b = (hashlib.sha256(f"{split} {n}".encode()).hexdigest() for n in (first, first + 1))
            one, two = str(first), str(first + 1)
            found += [_row(split, a, "emergent", one, one), _row(split, b, "emergent", two, two)]
            found += [_row(split, a, "contrast_image", two, one), _row(split, a, "contrast_text", one, two)]
    return rows


def write_dataset(path: Path, rows: Rows) -> Path:
    """Write shards and a manifest as a build does."""
    files = []
    for split, some in rows.items():
        name = shard_path("data", split, 0, 1)
        written = write_shard(path / name, pair_schema(), sorted(some, key=lambda row: row["id"]), 100)
        files.append(describe(path, name, split, written))
    pairs = sum(map(len, rows.values()))
    ledgers = [Ledger("candidate", pairs, pairs, 0, 0)]
    manifest = build_manifest(
        BuildConfig(), versions={}, engine="none", counts={}, files=files, ledgers=ledgers
    )
    write_manifest(path / "manifest.json", manifest)
    return path


def recount(dataset: Path, change: Callable[[dict[str, Any]], None]) -> None:
    """Change the manifest of a dataset."""
    manifest = read_manifest(dataset / "manifest.json")
    change(manifest)
    write_manifest(dataset / "manifest.json", manifest)
