"""Scene graphs of tinyworld against the scenes that they are of."""

from hypothesis import given, settings
from hypothesis import strategies as st

from generators.tinyworld.renderer import describe, sample_scene
from generators.tinyworld.world import load_world
from pipelines.training.scenealign.graph import NoGraph, SceneGraph
from pipelines.training.scenealign.scenes import graph_of, tinyworld_graph
from tests.pipelines.training.scenealign.scenes import row

SEEDS = st.integers(0, 2**36)


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_a_graph_holds_what_was_drawn_and_denies_the_rest_of_the_world(seed: int) -> None:
    scene = sample_scene(seed)
    graph = graph_of(scene)
    shown = {placed.concept for placed in scene.objects}
    assert {node.names[0] for node in graph.nodes} == shown
    assert shown.isdisjoint(graph.absent)
    assert {concept.name for concept in load_world().concepts} - shown <= set(graph.absent)
    assert graph.setting == scene.setting not in graph.elsewhere


@settings(max_examples=40, deadline=None)
@given(SEEDS)
def test_relations_follow_from_where_things_stand(seed: int) -> None:
    scene = sample_scene(seed, concepts=("apple", "cat", "tree"))
    for relation in graph_of(scene).relations:
        one, other = scene.objects[relation.subject], scene.objects[relation.object]
        holds = {"left of": one.x < other.x, "above": one.y < other.y, "larger than": one.size > other.size}
        assert holds[relation.predicate]


def test_a_motif_is_a_node() -> None:
    scene = sample_scene(3, plainly_harmful=True)
    assert graph_of(scene).nodes[-1].names == (scene.motif,)


def test_the_graph_of_a_row_is_that_of_its_seed() -> None:
    assert tinyworld_graph(row(5)) == graph_of(sample_scene(5))


def test_a_row_of_another_world_or_without_a_seed_has_no_graph() -> None:
    good = row(5)
    outcomes = [
        tinyworld_graph(good | {"image_prompt": describe(sample_scene(6))}),
        tinyworld_graph(good | {"image_seed": None}),
        tinyworld_graph(good | {"image_generator": "a camera"}),
    ]
    assert [one.reason for one in outcomes if isinstance(one, NoGraph)] == [
        "scene_differs",
        "no_scene",
        "no_scene",
    ]
    assert not any(isinstance(one, SceneGraph) for one in outcomes)
