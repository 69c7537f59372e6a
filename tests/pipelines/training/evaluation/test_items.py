from __future__ import annotations

from pathlib import Path

import pytest

from pipelines.training.evaluation.items import dataset_items
from tests.pipelines.training.evaluation.made_up import tinyworld_dataset


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tinyworld_dataset(tmp_path_factory.mktemp("items"), sets=5, splits=("test",))


def test_items_are_the_pairs_of_a_split_with_their_pictures(dataset: Path) -> None:
    items = dataset_items(dataset, "test")
    assert [item.example.role for item in items] == ["emergent", "contrast_image"] * 5
    assert items[0].picture().size == (256, 256) and items[0].picture() != items[1].picture()
    assert items[0].example.references and isinstance(items[0].example.references, tuple)


def test_the_place_of_the_evidence_is_known_of_harmful_scenes(dataset: Path) -> None:
    items = dataset_items(dataset, "test")
    assert [item.masks is not None for item in items] == [True, False] * 5


def test_a_limit_draws_whole_contrast_sets(dataset: Path) -> None:
    some = dataset_items(dataset, "test", limit=3)
    assert len(some) == 4 and len({item.cluster for item in some}) == 2
    assert [item.example for item in some] == [
        item.example for item in dataset_items(dataset, "test", limit=3)
    ]


def test_a_split_that_is_not_there_is_named(dataset: Path) -> None:
    with pytest.raises(ValueError, match="validation"):
        dataset_items(dataset, "validation")
