"""Rows made of two pairs: images side by side, texts joined; after safety-aware concatenation (GuardReasoner-VL).

The paper (arXiv 2505.11049) calls a joined sample harmful if any part is. Where harm is emergent, image and text of
two benign pairs may be harmful together, so benign rows are joined only if they share their text: then
every combination in the joined row was judged.
"""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from typing import Any

import datasets
from PIL import Image

from schemas.reasoning import BENIGN, HARMFUL

Row = Mapping[str, Any]


def joined_rows(examples: datasets.Dataset, count: int, seed: int) -> datasets.Dataset:
    """Up to `count` rows of two pairs each, as many harmful as benign as far as there are; columns as the examples'.

    Args:
        examples: As of `load_examples`, of one split.
        count: How many to make.
        seed: Decides which rows are joined.
    """
    fields = list(examples.remove_columns("image"))
    pairs = joinable(fields, count, seed)
    if not pairs:
        return examples.select([])
    rows = [
        {"image": side_by_side(examples[a]["image"], examples[b]["image"])} | join(fields[a], fields[b])
        for a, b in pairs
    ]
    return datasets.Dataset.from_list(rows, features=examples.features)


def joinable(fields: Sequence[Row], count: int, seed: int) -> list[tuple[int, int]]:
    """Which rows to join: harmful ones with any other row, and benign ones that share their text.

    No row is in two joined rows of the same verdict as their first part.
    """
    rng = random.Random(f"concatenation {seed}")
    harmful = [n for n, row in enumerate(fields) if row["verdict"] == HARMFUL]
    rng.shuffle(harmful)
    with_harm = [_either_way(n, _another(n, len(fields), rng), rng) for n in harmful if len(fields) > 1]
    return [pair for both in zip(with_harm, _benign(fields, rng), strict=False) for pair in both][:count]


def _another(n: int, rows: int, rng: random.Random) -> int:
    """One of the other rows."""
    drawn = rng.randrange(rows - 1)
    return drawn + (drawn >= n)


def _benign(fields: Sequence[Row], rng: random.Random) -> list[tuple[int, int]]:
    sharing: dict[str, list[int]] = {}
    for number, row in enumerate(fields):
        if row["verdict"] == BENIGN:
            sharing.setdefault(row["text"], []).append(number)
    drawn = [rng.sample(rows, 2) for rows in sharing.values() if len(rows) > 1]
    pairs = [_either_way(first, second, rng) for first, second in drawn]
    rng.shuffle(pairs)
    return pairs


def _either_way(a: int, b: int, rng: random.Random) -> tuple[int, int]:
    return (a, b) if rng.random() < 0.5 else (b, a)


def join(first: Row, second: Row) -> dict[str, Any]:
    """The fields of two rows as one; a harmful part gives verdict, hazard, mechanism and rationales."""
    said = next((row for row in (first, second) if row["verdict"] == HARMFUL), first)
    texts = dict.fromkeys((first["text"], second["text"]))
    text = "\n".join(texts)
    return dict(said) | {
        "id": f"{first['id']}+{second['id']}",
        "text": text,
        "role": "joined",
        "contrast_group": "",
        "image_says": [" beside ".join(row["image_says"][0] for row in (first, second) if row["image_says"])],
        "text_says": [text],
        "p_image": max(first["p_image"], second["p_image"]),
        "p_text": max(first["p_text"], second["p_text"]),
    }


def side_by_side(left: Image.Image, right: Image.Image) -> Image.Image:
    """Two pictures in one of the left one's height, on nothing but each other."""
    height = left.height
    scaled = right.resize((max(1, round(right.width * height / right.height)), height))
    whole = Image.new("RGB", (left.width + scaled.width, height))
    whole.paste(left, (0, 0))
    whole.paste(scaled, (left.width, 0))
    return whole
