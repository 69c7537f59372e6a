from __future__ import annotations

import pytest

from pipelines.training.evaluation.items import Item, dataset_items
from pipelines.training.evaluation.probe import ClipProbe
from tests.pipelines.training.evaluation.made_up import tinyworld_dataset

CLIP = "builtin:tinyworld/clip"


@pytest.fixture(scope="module")
def items(tmp_path_factory: pytest.TempPathFactory) -> list[Item]:
    return dataset_items(tinyworld_dataset(tmp_path_factory.mktemp("probe"), 8, ("train",)), "train")


@pytest.mark.parametrize("kernel", [False, True])
def test_the_probe_learns_what_it_is_fitted_on(items: list[Item], kernel: bool) -> None:
    judged = ClipProbe(CLIP, "cpu", kernel=kernel).fit(items).judge(items)
    assert [verdict for verdict, _ in judged] == [item.example.verdict for item in items]
    assert all((verdict == "harmful") == (odds > 0) for verdict, odds in judged)


def test_the_probe_is_the_same_every_time(items: list[Item]) -> None:
    for kernel in (False, True):
        one, other = (ClipProbe(CLIP, "cpu", kernel=kernel).fit(items).judge(items[:3]) for _ in range(2))
        assert one == other


@pytest.mark.parametrize("kernel", [False, True])
def test_the_probe_can_be_fitted_on_one_harmful_pair(items: list[Item], kernel: bool) -> None:
    harmful, *_ = (item for item in items if item.example.verdict == "harmful")
    benign = [item for item in items if item.example.verdict == "benign"]
    (found,) = ClipProbe(CLIP, "cpu", kernel=kernel).fit([harmful, *benign]).judge([harmful])
    assert found[0] == "harmful"


def test_the_probe_needs_both_verdicts(items: list[Item]) -> None:
    with pytest.raises(ValueError, match="harmful and benign"):
        ClipProbe(CLIP, "cpu").fit([item for item in items if item.example.verdict == "benign"])
