"""The report's gallery: a sample of emergent pairs over all hazards, each beside its contrast partners."""

from __future__ import annotations

import base64
import hashlib
import io
from collections import defaultdict
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.report.figures import Figures

MOST = 24
"""Emergent pairs shown."""
SIDE = 256
"""Pixels of a thumbnail's longer side."""
_COLUMNS = [
    "id",
    "text",
    "role",
    "hazard",
    "mechanism",
    "contrast_group",
    "p_image",
    "p_text",
    "p_joint",
    "emergence",
    "rationale",
    "image_caption",
]


class Card(NamedTuple):
    """An emergent pair, and the partners that make its text or its image benign where there are any."""

    pair: dict[str, Any]
    other_image: dict[str, Any] | None
    other_text: dict[str, Any] | None


def build_gallery(figures: Figures) -> list[Card]:
    """Choose the pairs and add to each row its thumbnail, as a data URI under the key `thumbnail`."""
    rows = figures.pairs.select(["id", "role", "hazard", "contrast_group"]).to_pylist()
    groups = {row["contrast_group"] for row in choose(rows)}
    wanted = {row["id"] for row in rows if row["contrast_group"] in groups and row["role"] != "benign"}
    shown = {row["id"]: row for row in _read(figures, wanted)}
    partners: dict[tuple[str, str], dict[str, Any]] = {}
    for row in sorted(shown.values(), key=lambda row: row["id"]):
        partners.setdefault((row["contrast_group"], row["role"]), row)
    return [
        Card(
            shown[row["id"]],
            partners.get((row["contrast_group"], "contrast_image")),
            partners.get((row["contrast_group"], "contrast_text")),
        )
        for row in choose(rows)
    ]


def choose(rows: Iterable[Mapping[str, Any]], most: int = MOST) -> list[Mapping[str, Any]]:
    """Sample emergent pairs: hazards take turns, in each the fuller contrast sets go first."""
    rows = list(rows)
    partners: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        partners[row["contrast_group"]].add(row["role"])
    by_hazard: dict[str, list[Mapping[str, Any]]] = defaultdict(list)
    for row in rows:
        if row["role"] == "emergent":
            by_hazard[row["hazard"]].append(row)
    turns = []
    for hazard, members in by_hazard.items():
        members.sort(key=lambda row: (-len(partners[row["contrast_group"]]), _hash(row["id"])))
        turns += [(turn, hazard, row) for turn, row in enumerate(members[:most])]
    chosen = sorted(turns, key=lambda entry: entry[:2])[:most]
    return [row for _, _, row in sorted(chosen, key=lambda entry: (entry[1], entry[0]))]


def thumbnail(data: bytes) -> str:
    """Return the picture as a JPEG data URI of at most `SIDE` pixels a side, without metadata."""
    from PIL import Image

    with Image.open(io.BytesIO(data)) as image:
        small = image.convert("RGB")
    small.thumbnail((SIDE, SIDE))
    out = io.BytesIO()
    small.save(out, "JPEG", quality=72, optimize=True)
    return "data:image/jpeg;base64," + base64.b64encode(out.getvalue()).decode("ascii")


def _hash(pair_id: str) -> str:
    return hashlib.sha256(f"gallery:{pair_id}".encode()).hexdigest()


def _read(figures: Figures, wanted: set[str]) -> Iterable[dict[str, Any]]:
    """Read the rows, opening only the row groups that hold one, since most bytes of a shard are pictures."""
    for _, path in figures.data_files():
        shard = pq.ParquetFile(path)
        for group in range(shard.num_row_groups):
            ids = shard.read_row_group(group, columns=["id"])["id"].to_pylist()
            places = [place for place, pair_id in enumerate(ids) if pair_id in wanted]
            if places:
                rows = (
                    shard.read_row_group(group, columns=[*_COLUMNS, "image"])
                    .take(pa.array(places))
                    .to_pylist()
                )
                yield from (row | {"thumbnail": thumbnail(row.pop("image")["bytes"])} for row in rows)
