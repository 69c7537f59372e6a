"""Where in a picture the evidence of harm is, and pictures in which it is masked. Pure functions.

A model that reads the picture must change its verdict when what makes it harmful is taken away, and must not when
as much is taken away elsewhere (after the counterfactuals of DeFacto, arXiv 2509.20912).
"""

from __future__ import annotations

from typing import NamedTuple

from PIL import Image

from generators.tinyworld.renderer import Placed, describe, objects_of
from generators.tinyworld.rules import harm_of
from generators.tinyworld.source import scene_of

GREY = (128, 128, 128)
REACH = 0.65
"""Half the side of a pictogram's box, in parts of its size: it is turned by up to 20 degrees."""


class Region(NamedTuple):
    """A rectangle in parts of the image's width and height, each in [0, 1]."""

    left: float
    top: float
    right: float
    bottom: float

    def overlaps(self, other: Region) -> bool:
        """Whether the two share a point of more than their edges."""
        across = self.left < other.right and other.left < self.right
        return across and self.top < other.bottom and other.top < self.bottom


EVERYWHERE = Region(0.0, 0.0, 1.0, 1.0)


def evidence_region(name: str, prompt: str, intent: str) -> Region | None:
    """Where the object is that makes a tinyworld scene harmful beside a text; None if no rule says so.

    Args:
        name: The scene's name, from which it is sampled again.
        prompt: Its description, which must be that of the scene sampled.
        intent: The intent of the text.
    """
    try:
        scene = scene_of(name)
        harm = harm_of(objects_of(prompt), intent)
    except (KeyError, ValueError):
        return None
    if harm is None or describe(scene) != prompt:
        return None
    return _box(next(placed for placed in scene.objects if placed.concept == harm.concept))


def _box(placed: Placed) -> Region:
    half = placed.size * REACH
    sides = (placed.x - half, placed.y - half, placed.x + half, placed.y + half)
    return Region(*(round(min(max(side, 0.0), 1.0), 4) for side in sides))


def masked(image: Image.Image, region: Region) -> Image.Image:
    """A copy of an image with a grey rectangle."""
    width, height = image.size
    changed = image.convert("RGB")
    left, top = round(region.left * width), round(region.top * height)
    right, bottom = round(region.right * width), round(region.bottom * height)
    changed.paste(GREY, (left, top, max(right, left + 1), max(bottom, top + 1)))
    return changed


def elsewhere(region: Region) -> Region | None:
    """A rectangle of the same size, mirrored across the middle, that does not touch the region; None if none is free.

    The one that is farthest away (mirrored both ways) is tried first.
    """
    flipped = Region(1 - region.right, region.top, 1 - region.left, region.bottom)
    turned = Region(flipped.left, 1 - region.bottom, flipped.right, 1 - region.top)
    below = Region(region.left, 1 - region.bottom, region.right, 1 - region.top)
    return next((one for one in (turned, flipped, below) if not one.overlaps(region)), None)
