from typing import Any

import pytest

from pipelines.stages.unused import Unused
from schemas.records import Candidate, Excluded, Judgement, Pair


def _pair(image_id: str, text_id: str) -> Pair:
    candidate = Candidate(f"{image_id}+{text_id}", image_id, text_id, "words", "train", "scenario", 0.5)
    return Pair(Judgement(candidate, 0.1, 0.1, 0.9, 3.0, "judge"), "emergent", candidate.id)


def test_an_image_that_no_pair_uses_is_excluded_with_its_split(run: Any, image: Any) -> None:
    used, unused = image("used"), image("unused", "test")
    rows = run(Unused("image"), {"assets": [used, unused], "pairs": [_pair(used.id, "t")]})["out"]
    assert rows == [Excluded("image", unused.id, "unused", "select", "unused", detail="test")]


def test_a_text_that_no_pair_uses_is_excluded(run: Any, text: Any) -> None:
    used, unused = text("used"), text("unused")
    rows = run(Unused("text"), {"assets": [used, unused], "pairs": [_pair("i", used.id)]})["out"]
    assert [(row.modality, row.id) for row in rows] == [("text", unused.id)]


def test_an_asset_of_many_pairs_is_used_once_and_for_all(run: Any, image: Any) -> None:
    used = image("used")
    assert not run(Unused("image"), {"assets": [used], "pairs": [_pair(used.id, t) for t in "abc"]})["out"]


@pytest.mark.parametrize("pairs", [[], [_pair("elsewhere", "t")]])
def test_without_a_pair_of_theirs_all_assets_are_unused(run: Any, image: Any, pairs: list[Pair]) -> None:
    assets = [image(f"image {n}") for n in range(5)]
    rows = run(Unused("image"), {"assets": assets, "pairs": pairs})["out"]
    assert sorted(row.id for row in rows) == sorted(asset.id for asset in assets)


def test_an_empty_pool_has_nothing_unused(run: Any) -> None:
    assert run(Unused("image"), {"assets": [], "pairs": [_pair("i", "t")]})["out"] == []
