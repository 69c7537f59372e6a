"""What a reasoning claims, and which objects its verdict rests on."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from generators.tinyworld.grammar import utter
from generators.tinyworld.renderer import describe, objects_of, sample_scene
from generators.tinyworld.rules import harm_of
from pipelines.training.scenealign.claims import critical_nodes, stated
from pipelines.training.scenealign.graph import SCENE, Claim, Node, Relation, SceneGraph
from pipelines.training.scenealign.scenes import graph_of
from schemas.reasoning import BENIGN, HARMFUL, Answer, Reasoned
from tests.pipelines.training.scenealign.scenes import reasoned_of

GRAPH = SceneGraph(
    nodes=(
        Node(names=("mug",), colour="green", traits=("a gift",), not_traits=("a toy",)),
        Node(names=("spoon",), place="right"),
    ),
    relations=(Relation(subject=0, predicate="left of", object=1),),
    setting="kitchen",
    elsewhere=("garden",),
)


@pytest.mark.parametrize(
    ("text", "claims"),
    [
        ("There is a red mug.", [Claim(0, "colour", "red")]),
        ("The mug is green.", [Claim(0, "colour", "green")]),
        ("The mug, which is a gift, is new.", [Claim(0, "trait", "a gift")]),
        ("A mug that is a toy is not a gift.", [Claim(0, "trait", "a toy")]),
        ("The mug is to the left of the spoon.", [Claim(0, "relation", "left of", 1)]),
        (
            "The spoon lies below the small mug.",
            [Claim(1, "relation", "below", 0), Claim(0, "size", "small")],
        ),
        ("The spoon is on the right.", [Claim(1, "place", "right")]),
        ("A mug in a kitchen.", [Claim(SCENE, "setting", "kitchen")]),
        ("A garden with a mug.", [Claim(SCENE, "setting", "garden")]),
        ("People like the kitchen and green is nice.", []),
        ('The text says "a red mug in a garden".', []),
    ],
)
def test_claims_are_read_from_the_words(text: str, claims: list[Claim]) -> None:
    assert [one.claim for one in stated(text, GRAPH)] == claims


def test_a_claim_points_to_the_words_of_its_value() -> None:
    text = "Nothing here. The mug is red. The mug is red."
    assert [text[one.start : one.end] for one in stated(text, GRAPH)] == ["red", "red"]
    assert stated(text, GRAPH)[0].start < stated(text, GRAPH)[1].start


def test_the_rationale_tells_which_objects_a_verdict_rests_on() -> None:
    answer = Answer(HARMFUL, "phy", "The mug breaks.")
    assert critical_nodes(Reasoned("There is a mug and a spoon.", answer), GRAPH) == (0,)


def test_without_a_rationale_the_reasoning_does() -> None:
    assert critical_nodes(Reasoned("There is a spoon.", Answer(BENIGN, "", "")), GRAPH) == (1,)


@settings(max_examples=60, deadline=None)
@given(st.integers(0, 2**36))
def test_without_its_critical_objects_a_harmful_scene_is_harmless(seed: int) -> None:
    scene, said = sample_scene(seed), utter(seed)
    harm = harm_of(objects_of(describe(scene)), said.intent)
    if harm is None:
        return
    critical = critical_nodes(reasoned_of(seed), graph_of(scene))
    assert [scene.objects[node].concept for node in critical] == [harm.concept]
