from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from generators.tinyworld.renderer import describe, objects_of, render
from generators.tinyworld.rules import combinations, harm_of
from generators.tinyworld.source import name_of, scene_of
from pipelines.training.evaluation.evidence import (
    EVERYWHERE,
    GREY,
    Region,
    elsewhere,
    evidence_region,
    masked,
)

INTENT = combinations()[0].intent
NAMES = [name_of("scene", seed, False) for seed in range(400)]
HARMFUL = [name for name in NAMES if harm_of(objects_of(describe(scene_of(name))), INTENT)]


@pytest.mark.parametrize("name", HARMFUL[:8])
def test_the_region_of_a_scene_holds_all_of_the_object_at_fault(name: str) -> None:
    scene = scene_of(name)
    harm = harm_of(objects_of(describe(scene)), INTENT)
    region = evidence_region(name, describe(scene), INTENT)
    assert harm and region
    others = scene._replace(objects=tuple(one for one in scene.objects if one.concept != harm.concept))
    changed = np.argwhere((np.asarray(render(scene)) != np.asarray(render(others))).any(axis=2))
    (top, left), (bottom, right) = changed.min(axis=0) / 256, (changed.max(axis=0) + 1) / 256
    assert region.left <= left and region.top <= top and right <= region.right and bottom <= region.bottom


def test_masking_the_evidence_leaves_the_scene_without_the_object() -> None:
    name = HARMFUL[0]
    scene = scene_of(name)
    region = evidence_region(name, describe(scene), INTENT)
    assert region
    image = render(scene)
    hidden = masked(image, region)
    centre = round((region.left + region.right) * 128), round((region.top + region.bottom) * 128)
    assert hidden.getpixel(centre) == GREY
    assert image.getpixel(centre) != GREY or image != hidden, "the image itself stays as it is"


def test_nothing_is_known_where_no_rule_or_another_scene_is_meant() -> None:
    benign = next(name for name in NAMES if name not in HARMFUL)
    assert evidence_region(benign, describe(scene_of(benign)), INTENT) is None
    assert evidence_region(HARMFUL[0], "kitchen: something else", INTENT) is None
    assert evidence_region(HARMFUL[0], describe(scene_of(HARMFUL[1])), INTENT) is None
    assert evidence_region("photo.jpg", "a photo", "chat") is None


def test_a_mask_covers_its_rectangle_and_nothing_else() -> None:
    found = np.asarray(masked(Image.new("RGB", (10, 20), "red"), Region(0.5, 0.0, 1.0, 0.25)))
    grey = (found == GREY).all(axis=2)
    assert grey[:5, 5:].all() and grey.sum() == 25


def test_everywhere_is_the_whole_image() -> None:
    assert masked(Image.new("RGB", (7, 5), "red"), EVERYWHERE) == Image.new("RGB", (7, 5), GREY)


def test_elsewhere_is_as_large_and_touches_nothing_of_the_region() -> None:
    region = Region(0.1, 0.2, 0.4, 0.5)
    place = elsewhere(region)
    assert place is not None and not place.overlaps(region)
    assert (place.right - place.left, place.bottom - place.top) == pytest.approx((0.3, 0.3))


def test_a_region_over_the_middle_leaves_no_room_elsewhere() -> None:
    assert elsewhere(Region(0.3, 0.3, 0.7, 0.7)) is None
