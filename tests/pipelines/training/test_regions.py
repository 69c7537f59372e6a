"""Where the evidence is: drawn, or known from the renderer, and a region beside it."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.tinyworld.renderer import Placed
from generators.tinyworld.source import name_of, scene_of
from pipelines.training.regions import (
    box_of,
    drawn_evidence,
    elsewhere,
    enclosing,
    masks_of,
    scene_evidence,
)
from schemas.records import Annotation, Region
from tests import datasets

SHARES = st.floats(0.01, 0.99)


def annotation(harmful: str, region: Region | None, pair: str = "a") -> Annotation:
    empty = {name: "" for name in Annotation._fields}
    return Annotation(**empty | {"pair_id": pair, "joint_harmful": harmful, "region": region})


def area(region: Region) -> float:
    return region.width * region.height


def apart(one: Region, other: Region) -> bool:
    beside = one.x + one.width <= other.x + 1e-9 or other.x + other.width <= one.x + 1e-9
    above = one.y + one.height <= other.y + 1e-9 or other.y + other.height <= one.y + 1e-9
    return beside or above


def test_an_upright_object_fills_its_square():
    assert box_of(Placed("cat", 0.5, 0.4, 0.2, 0.0, (0, 0, 0))) == pytest.approx((0.4, 0.3, 0.2, 0.2))


def test_a_turned_object_needs_more_room_and_is_cut_at_the_edge():
    # The square of side 0.2 turned by 45 degrees is 0.2 * sqrt 2 wide.
    found = box_of(Placed("cat", 0.1, 0.5, 0.2, 45.0, (0, 0, 0)))
    assert found == pytest.approx((0, 0.3586, 0.2414, 0.2828), abs=1e-4)


def test_the_enclosing_region_holds_all():
    found = enclosing([Region(0.1, 0.5, 0.2, 0.1), Region(0.2, 0.3, 0.3, 0.1)])
    assert found == pytest.approx((0.1, 0.3, 0.4, 0.3))


def test_drawn_regions_count_of_those_who_find_harm():
    seen = [
        annotation("yes", Region(0.1, 0.1, 0.2, 0.2)),
        annotation("yes", Region(0.2, 0.2, 0.2, 0.2)),
        annotation("no", Region(0.0, 0.0, 1.0, 1.0)),
        annotation("yes", None, "b"),
    ]
    assert drawn_evidence(seen) == {"a": pytest.approx((0.1, 0.1, 0.3, 0.3))}


@given(SHARES, SHARES, SHARES, SHARES, st.text())
def test_a_region_elsewhere_is_as_large_and_does_not_touch_the_evidence(x, y, width, height, key):
    evidence = Region(x * (1 - width), y * (1 - height), width, height)
    other = elsewhere(evidence, key)
    if other is not None:
        assert area(other) == pytest.approx(area(evidence))
        assert apart(other, evidence)
        assert min(other) >= 0 and other.x + other.width <= 1 + 1e-9 and other.y + other.height <= 1 + 1e-9


def test_a_region_elsewhere_keeps_the_shape_where_that_fits():
    other = elsewhere(Region(0.1, 0.2, 0.2, 0.4), "pair")
    assert other is not None and other[2:] == (0.2, 0.4)


def test_evidence_in_the_middle_is_matched_by_another_shape():
    other = elsewhere(Region(0.3, 0.3, 0.4, 0.4), "pair")
    assert other is not None and area(other) == pytest.approx(0.16)


def test_evidence_that_fills_the_picture_leaves_no_room():
    assert elsewhere(Region(0.1, 0.1, 0.8, 0.8), "pair") is None
    assert elsewhere(Region(0.0, 0.0, 1.0, 1.0), "pair") is None


def scene_of_two() -> tuple[str, tuple[Placed, ...]]:
    names = (name_of("scene", seed, False) for seed in range(100))
    return next((name, scene.objects) for name in names if len((scene := scene_of(name)).objects) == 2)


def test_the_evidence_of_a_scene_is_what_the_rationale_names():
    name, (first, second) = scene_of_two()
    assert scene_evidence(name, [f"The picture shows a {second.concept}."]) == box_of(second)
    both = scene_evidence(name, [f"A {first.concept} and a {second.concept.upper()}."])
    assert both == enclosing([box_of(first), box_of(second)])


def test_a_rationale_that_names_nothing_shown_gives_no_evidence():
    name, (first, _) = scene_of_two()
    assert scene_evidence(name, [f"un{first.concept}ly", ""]) is None


def test_harmful_pairs_of_a_dataset_have_masks_where_the_evidence_is_known(tmp_path):
    name, (first, _) = scene_of_two()
    pairs = datasets.rows(4)
    for pair in pairs:
        pair |= {"label": 1, "image_source": "tinyworld", "image_name": name}
        pair |= {"rationale": f"It is the {first.concept}."}
    pairs[1]["label"], pairs[2]["image_source"], pairs[3]["rationale"] = 0, "photographs", "Something."
    found = masks_of(datasets.write_dataset(tmp_path / "made", pairs), "train")
    assert set(found) == {pairs[0]["id"]}
    assert found[pairs[0]["id"]].evidence == box_of(first)
