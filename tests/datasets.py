"""Small finished datasets, written as a build writes them, for tests of what comes after a build."""

from __future__ import annotations

import hashlib
import io
import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
from PIL import Image

from schemas.tables import pair_schema

HAZARDS = ("phy", "prv", "ssh")


def pair_id(number: int) -> str:
    """The id of the pair of this number."""
    return hashlib.sha256(f"pair {number}".encode()).hexdigest()


def rows(count: int) -> list[dict[str, Any]]:
    """Pairs with pictures of their own; hazards take turns, and probabilities go from 0 to 1."""
    return [_row(number, number / max(count - 1, 1)) for number in range(count)]


def write_dataset(path: Path, pairs: list[dict[str, Any]], shards: int = 2) -> Path:
    """Write pairs and a manifest into a new folder."""
    (path / "data").mkdir(parents=True)
    for shard in range(shards):
        table = pa.Table.from_pylist(pairs[shard::shards], schema=pair_schema())
        pq.write_table(table, path / "data" / f"train-{shard:05}-of-{shards:05}.parquet")
    manifest = {"configuration": {"select": {"min_joint": 0.9}}}
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return path


def _row(number: int, p_joint: float) -> dict[str, Any]:
    return {
        "id": pair_id(number),
        "image": _picture(number, 32),
        "composed": _picture(number, 48),
        "text": f"What a day, number {number}!",
        "label": int(p_joint >= 0.9),
        "role": "emergent" if p_joint >= 0.9 else "benign",
        "hazard": HAZARDS[number % len(HAZARDS)],
        "p_joint": round(p_joint, 4),
    }


def _picture(number: int, side: int) -> dict[str, Any]:
    buffer = io.BytesIO()
    Image.new("RGB", (side, side), (number % 256, number // 256, 128)).save(buffer, "PNG")
    content = buffer.getvalue()
    return {"bytes": content, "path": f"{hashlib.sha256(content).hexdigest()}.png"}
