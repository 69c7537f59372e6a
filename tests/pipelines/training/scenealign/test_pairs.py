"""Preference pairs of a dataset: what is kept, what is dropped, and that both add up."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from generators.tinyworld.renderer import sample_scene
from pipelines.training.scenealign.graph import NoGraph, SceneGraph
from pipelines.training.scenealign.judged import EXAMPLE
from pipelines.training.scenealign.pairs import Dropped, Preferences, preferences
from pipelines.training.scenealign.perturbations import KINDS
from pipelines.training.scenealign.reading import read_graphs
from schemas.reasoning import Reasoned, parse
from tests.datasets import write_dataset
from tests.pipelines.training.scenealign.scenes import dataset, picture, reasoned, row
from tests.pipelines.training.scenealign.test_judged import GOOD, Scripted

COUNT = 24


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return dataset(tmp_path_factory.mktemp("data") / "set", range(COUNT))


@pytest.fixture(scope="module")
def made(folder: Path) -> Preferences:
    return preferences(folder, "train", reasoned)


def test_every_example_has_one_outcome_of_every_kind(made: Preferences) -> None:
    counts = made.counts()
    assert set(counts) == set(KINDS)
    assert all(sum(one.values()) == COUNT for one in counts.values())
    assert all(counts[kind]["kept"] > COUNT / 3 for kind in KINDS)


def test_a_pair_is_a_right_and_a_wrong_completion_of_one_prompt(made: Preferences) -> None:
    for pair in made.rows.select(range(12)):
        right, wrong = parse(pair["chosen"]), parse(pair["rejected"])
        assert right and wrong and right != wrong
        assert pair["prompt"][0]["content"][0]["type"] == "image"


def test_a_pair_has_the_picture_and_the_prompt_of_its_example(made: Preferences) -> None:
    rows = {one["id"]: one for one in map(row, range(COUNT))}
    pair = made.rows[len(made.rows) - 1]
    expected = rows[pair["id"]]
    assert expected["text"] in pair["prompt"][0]["content"][1]["text"]
    assert pair["image"].tobytes() == picture(sample_scene(expected["image_seed"])).tobytes()


def test_the_same_dataset_gives_the_same_pairs(folder: Path, made: Preferences) -> None:
    again = preferences(folder, "train", reasoned)
    assert again.rows.remove_columns("image").to_list() == made.rows.remove_columns("image").to_list()
    assert again.dropped == made.dropped


def test_what_has_no_reasoning_or_a_wrong_one_is_dropped_with_the_reason(folder: Path) -> None:
    def chain(example: Mapping[str, Any]) -> Reasoned:
        if example["verdict"] == "harmful":
            raise ValueError("no rationale")
        return reasoned(example)._replace(think="The image shows a piece of the moon and a skyscraper.")

    made = preferences(folder, "train", chain, kinds=("swap",))
    reasons = {one.reason: one for one in made.dropped}
    assert set(reasons) == {"no_reasoning", "no_critical_node"}
    assert reasons["no_reasoning"].detail == "no rationale"
    assert len(made.dropped) == COUNT and len(made.rows) == 0


def test_a_scorer_that_finds_every_wrong_text_unlikely_drops_all_that_is_wrong(folder: Path) -> None:
    seen = set(_right_texts(folder))
    made = preferences(folder, "train", reasoned, scorer=lambda text: 5.0 if text in seen else 50.0)
    assert len(made.rows) == 0
    assert "perplexity" in {one.reason for one in made.dropped}


def _right_texts(folder: Path) -> list[str]:
    found = [parse(text) for text in preferences(folder, "train", reasoned).rows["chosen"]]
    return [one.think for one in found if one]


def test_foreign_pictures_are_looked_at_once_each_and_tinyworld_s_are_not(tmp_path: Path) -> None:
    foreign = {"image_generator": "", "image_prompt": "", "image_seed": None, "image_id": "b" * 64}
    image = row(1) | {"image": {"bytes": b"one picture", "path": "a.jpg"}}
    pairs = [image, image | foreign | {"id": "c" * 64}, image | foreign | {"id": "d" * 64}]
    sight = Scripted(**{"one picture": [GOOD]})
    graphs = read_graphs(write_dataset(tmp_path / "set", pairs, shards=1), "train", sight)
    assert graphs["c" * 64] == graphs["d" * 64] == EXAMPLE
    assert isinstance(graphs[image["id"]], SceneGraph) and graphs[image["id"]] != EXAMPLE
    assert len(sight.asked) == 1


def test_a_picture_without_a_graph_drops_its_pairs_with_that_reason(folder: Path) -> None:
    graphs = {row(seed)["id"]: NoGraph("malformed_graph", "no JSON") for seed in range(COUNT - 1)}
    made = preferences(folder, "train", reasoned, kinds=("swap",), graphs=graphs)
    assert made.dropped[0] == Dropped(row(0)["id"], "swap", "malformed_graph", "no JSON")
    assert made.counts() == {"swap": {"malformed_graph": COUNT - 1, "not_asked": 1}}
