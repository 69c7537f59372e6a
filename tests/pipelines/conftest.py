"""A small dataset folder as a build leaves it, with drawn pictures and scores made up by arithmetic."""

from __future__ import annotations

import hashlib
import io
import json
import math
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from PIL import Image, ImageDraw

from schemas.records import SPLITS
from schemas.tables import excluded_schema, failed_schema, pair_schema

HAZARDS = ("phy", "prv", "hte", "spc", "hrs", "ncr")
MECHANISMS = ("poisoning", "disclosure", "exclusion", "reckless_advice")
TEXTS = (
    "Look how it floats.",
    "Everybody should see this.",
    "You would fit right in here.",
    "Take two, it helps.",
)
COUNTS = {
    "ingest": {"in": 600, "kept": 590, "excluded": 8, "failed": 2},
    "screen": {"in": 590, "kept": 540, "excluded": 50},
    "judge": {"in": 900, "kept": 900, "cached": 12, "inferred": 888},
    "select": {"in": 900, "kept": 216, "excluded": 684},
}
ROWS = {
    "image": {"rows_in": 400, "written": 359, "excluded": 39, "failed": 2},
    "text": {"rows_in": 200, "written": 181, "excluded": 19, "failed": 0},
}
SCORES = {
    "precision": {"value": 0.934, "of": 72},
    "combination_recall": {"value": 0.71, "of": 84},
    "yield_ratio": {"value": 6.24, "of": 400},
}


def _id(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def _wave(*parts: object) -> float:
    """A number in [0, 1) that depends only on the parts."""
    return int(_id(*parts)[:8], 16) / 2**32


def _picture(key: int) -> bytes:
    image = Image.new("RGB", (320, 240), (90 + key * 13 % 160, 120 + key * 29 % 120, 140 + key * 47 % 110))
    draw = ImageDraw.Draw(image)
    draw.rectangle((0, 170, 320, 240), fill=(120, 100 + key * 7 % 80, 70))
    for i in range(3):
        x, y = 30 + 90 * i, 60 + (key * 31 + i * 57) % 100
        draw.ellipse(
            (x, y, x + 60, y + 60), fill=(250 - 60 * i, key * 71 % 255, 60 + 90 * i), outline="black"
        )
    out = io.BytesIO()
    image.save(out, "JPEG", quality=90)
    return out.getvalue()


def _scores(role: str, key: str) -> dict[str, float]:
    high = {"emergent": (0.86, 0.995), "benign": (0.01, 0.2)}.get(role, (0.02, 0.2))
    joint = high[0] + (high[1] - high[0]) * _wave(key, "joint") ** 0.7
    image, text = 0.02 + 0.2 * _wave(key, "image"), 0.02 + 0.25 * _wave(key, "text")
    emergence = math.log(joint / (1 - joint)) - max(math.log(p / (1 - p)) for p in (image, text))
    named = {"p_image": image, "p_text": text, "p_joint": joint, "emergence": emergence}
    return {name: round(value, 4) for name, value in named.items()}


def _row(group: str, role: str, number: int, hazard: str) -> dict[str, Any]:
    row: dict[str, Any] = {field.name: None for field in pair_schema()}
    pair_id = group if role == "emergent" else _id(group, role)
    picture = {"bytes": _picture(number + (role == "contrast_image")), "path": f"{pair_id}.jpg"}
    text = TEXTS[(number + (role == "contrast_text")) % 4]
    row |= {
        "id": pair_id,
        "image": picture,
        "text": text,
        "composed": picture,
        "role": role,
        "hazard": hazard,
    }
    row |= {"label": int(role == "emergent"), "mechanism": MECHANISMS[number % 4], "contrast_group": group}
    row |= {"method": role if role.startswith("contrast") else "scenario", "judge": "tiny", "scenario": "s1"}
    row |= {"rationale": "Water and mains electricity kill whoever reaches in.", "retrieval_score": 0.3}
    return row | _scores(role, pair_id) | {"image_caption": "three discs", "image_seed": -1, "text_seed": -1}


def _write(path: Path, rows: list[dict[str, Any]], schema: pa.Schema) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist(rows, schema), path, row_group_size=100)


def _pairs(split: str, n: int) -> list[dict[str, Any]]:
    rows = []
    for number in range(n):
        group, hazard = _id(split, number), HAZARDS[number % len(HAZARDS)]
        partners = ("contrast_image", "contrast_text", "benign")[: 3 - (number % 5 == 4)]
        rows += [_row(group, role, number, hazard) for role in ("emergent", *partners)]
    return sorted(rows, key=lambda row: row["id"])


def _candidates() -> list[dict[str, Any]]:
    emergent = {"scenario": 12, "random": 9, "clip": 14}
    rows = []
    for method, found in emergent.items():
        for number in range(200):
            scores = _scores("emergent" if number < found else "benign", _id(method, number))
            detail = json.dumps({"method": method, "scenario": "", "image_id": "i", "text_id": "t"} | scores)
            rows.append(_dropped("candidate", _id(method, number), "select", "not_emergent", detail))
    return rows


def _dropped(modality: str, row_id: str, stage: str, reason: str, detail: str = "") -> dict[str, Any]:
    row = {"modality": modality, "id": row_id, "name": row_id[:8], "stage": stage, "reason": reason}
    return row | {"score": 0.9, "threshold": 0.5, "detail": detail}


@pytest.fixture
def small_dataset(tmp_path: Path) -> Path:
    """A folder with four splits, emergent pairs of six hazards with partners, exclusions and failures."""
    root = tmp_path / "small"
    for split, n in zip(SPLITS, (40, 8, 12, 12), strict=True):
        _write(root / "data" / f"{split}-00000-of-00001.parquet", _pairs(split, n), pair_schema())
    screened = [_dropped("image", _id("i", n), "screen", "harmful_alone") for n in range(31)]
    screened += [_dropped("text", _id("t", n), "screen", "harmful_alone") for n in range(19)]
    small = [_dropped("image", _id("s", n), "ingest", "too_small") for n in range(8)]
    _write(root / "excluded" / "part-00000.parquet", [*screened, *small, *_candidates()], excluded_schema())
    failed = [
        {"modality": "image", "id": "", "name": n, "stage": "ingest", "error": "UnidentifiedImageError"}
        for n in "ab"
    ]
    _write(root / "failed" / "part-00000.parquet", failed, failed_schema())
    manifest = {
        "configuration": {"build": {"name": "small"}, "select": {}},
        "counts": COUNTS,
        "rows": ROWS,
        "scores": SCORES,
    }
    manifest["notices"] = ["The scores of this dataset are made up; they mean nothing."]
    (root / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return root
