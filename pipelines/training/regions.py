"""Where in the picture the evidence for harm is, drawn by annotators or known from tinyworld's renderer; masking it."""

from __future__ import annotations

import hashlib
import math
import re
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from PIL import Image

from generators.tinyworld.renderer import Placed
from generators.tinyworld.source import scene_of
from generators.tinyworld.world import load_world
from schemas.records import Annotation, Region

GREY = (128, 128, 128)
_COLUMNS = ["id", "label", "image_source", "image_name", "rationale"]


class Masks(NamedTuple):
    """Two regions of one picture, of the same area, that do not overlap."""

    evidence: Region
    elsewhere: Region


def masks_of(dataset: Path, split: str) -> dict[str, Masks]:
    """What to mask in the harmful pairs of a split whose evidence is known, by the pair's id.

    The evidence is what annotators drew who find the pair harmful; else, in a scene of tinyworld, the objects that
    the rationale names. A pair with neither, or whose evidence leaves no room for a region beside it, is left out.
    """
    import pyarrow.parquet as pq

    drawn = _drawn(dataset)
    found: dict[str, Masks] = {}
    for path in sorted((dataset / "data").glob(f"{split}-*.parquet")):
        for row in pq.read_table(path, columns=_COLUMNS).to_pylist():
            evidence = (drawn.get(row["id"]) or _known(row)) if row["label"] else None
            other = elsewhere(evidence, row["id"]) if evidence else None
            if evidence and other:
                found[row["id"]] = Masks(evidence, other)
    return found


def drawn_evidence(annotations: Iterable[Annotation]) -> dict[str, Region]:
    """The box around all regions that annotators drew who find the pair harmful, by the pair's id."""
    boxes: dict[str, list[Region]] = {}
    for one in annotations:
        if one.region and one.joint_harmful == "yes":
            boxes.setdefault(one.pair_id, []).append(one.region)
    return {pair: enclosing(regions) for pair, regions in boxes.items()}


def scene_evidence(name: str, rationales: Sequence[str]) -> Region | None:
    """The box around the objects of a tinyworld scene that rationales name, by name or alias; None if they name none.

    Args:
        name: Of the scene, as `generators.tinyworld.source.name_of` gives it.
        rationales: What is said about the pair.
    """
    said = " ".join(rationales).lower()
    named = [placed for placed in scene_of(name).objects if any(_says(said, word) for word in _words(placed))]
    return enclosing([box_of(placed) for placed in named]) if named else None


def box_of(placed: Placed) -> Region:
    """The part of a picture that an object surely lies in: the box of its turned square, cut at the edges."""
    turn = math.radians(placed.angle)
    half = placed.size * (abs(math.cos(turn)) + abs(math.sin(turn))) / 2
    left, top = max(0.0, placed.x - half), max(0.0, placed.y - half)
    return Region(left, top, min(1.0, placed.x + half) - left, min(1.0, placed.y + half) - top)


def enclosing(regions: Sequence[Region]) -> Region:
    """The smallest region that holds all of one or more."""
    left, top = min(one.x for one in regions), min(one.y for one in regions)
    right, bottom = max(one.x + one.width for one in regions), max(one.y + one.height for one in regions)
    return Region(left, top, right - left, bottom - top)


def elsewhere(evidence: Region, key: str) -> Region | None:
    """A region of the same area that does not touch the evidence; None if there is no room for one.

    It has the same shape where that fits, so that what is masked cannot be told by its size. Which of the free
    strips (left, right, above, below), and where in it, is drawn from `key`.
    """
    fitting = [(strip, size) for strip in _strips(evidence) if (size := _fitted(evidence, strip))]
    same = [(strip, size) for strip, size in fitting if size == (evidence.width, evidence.height)]
    if not fitting:
        return None
    strip, (width, height) = (same or fitting)[int(_draw(key, "strip") * len(same or fitting))]
    x = strip.x + _draw(key, "x") * (strip.width - width)
    y = strip.y + _draw(key, "y") * (strip.height - height)
    return Region(x, y, width, height)


def masked(image: Image.Image, region: Region) -> Image.Image:
    """A copy of an image, in RGB, with a region painted grey; at least one pixel is."""
    left, top = int(region.x * image.width), int(region.y * image.height)
    right = max(left + 1, round((region.x + region.width) * image.width))
    bottom = max(top + 1, round((region.y + region.height) * image.height))
    copy = image.convert("RGB")
    copy.paste(GREY, (left, top, min(right, image.width), min(bottom, image.height)))
    return copy


def _strips(evidence: Region) -> Iterator[Region]:
    right, bottom = evidence.x + evidence.width, evidence.y + evidence.height
    yield Region(0.0, 0.0, evidence.x, 1.0)
    yield Region(right, 0.0, 1 - right, 1.0)
    yield Region(0.0, 0.0, 1.0, evidence.y)
    yield Region(0.0, bottom, 1.0, 1 - bottom)


def _fitted(evidence: Region, strip: Region) -> tuple[float, float] | None:
    """Width and height of a box in the strip, of the evidence's area and as near to its shape as fits."""
    shape = evidence.width, evidence.height
    width, height = min(evidence.width, strip.width), min(evidence.height, strip.height)
    area = evidence.width * evidence.height
    if (width, height) == shape:
        return shape
    if not 0 < area <= strip.width * strip.height:
        return None
    return (width, area / width) if height == evidence.height else (area / height, height)


def _draw(key: str, what: str) -> float:
    """A number in [0, 1) from a hash."""
    digest = hashlib.sha256(f"mask {what} {key}".encode()).digest()
    return (int.from_bytes(digest[:8], "big") >> 11) / 2**53


def _words(placed: Placed) -> tuple[str, ...]:
    return placed.concept, *load_world().concept(placed.concept).aliases


def _says(said: str, word: str) -> bool:
    return re.search(rf"\b{re.escape(word.lower())}\b", said) is not None


def _known(row: dict[str, Any]) -> Region | None:
    if row["image_source"] != "tinyworld":
        return None
    return scene_evidence(row["image_name"], [row["rationale"] or ""])


def _drawn(dataset: Path) -> dict[str, Region]:
    from annotation.answers import FOLDER, read_answers

    if not (dataset / FOLDER / "annotations.parquet").is_file():
        return {}
    return drawn_evidence(read_answers(dataset).of_dataset())
