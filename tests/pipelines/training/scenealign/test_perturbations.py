"""The four perturbations on scenes of tinyworld: form kept, fluent, different, and wrong about the scene."""

import re

import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from generators.tinyworld.renderer import sample_scene
from generators.tinyworld.world import load_world
from pipelines.training.scenealign.checks import check, check_right, slips
from pipelines.training.scenealign.graph import Node, Relation, SceneGraph
from pipelines.training.scenealign.naming import sentences
from pipelines.training.scenealign.perturbations import KINDS, Kind, Perturbed, Unperturbed, perturb
from pipelines.training.scenealign.scenes import graph_of
from schemas.reasoning import BENIGN, HARMFUL, Answer, Reasoned, parse, render
from tests.pipelines.training.scenealign.scenes import reasoned_of, row

SEEDS = st.integers(0, 2**36)
EXAMPLES = settings(max_examples=40, deadline=None)
GRAPH = SceneGraph(
    nodes=(Node(names=("mug",), not_names=("vase", "scissors")), Node(names=("spoon",))),
    relations=(Relation(subject=0, predicate="left of", object=1),),
)


def _made(kind: Kind, seed: int) -> tuple[Reasoned, Perturbed]:
    right = reasoned_of(seed)
    wrong = perturb(kind, right, graph_of(sample_scene(seed)), str(seed))
    assume(isinstance(wrong, Perturbed))
    assert isinstance(wrong, Perturbed)
    return right, wrong


def _names(seed: int) -> set[str]:
    concepts = [load_world().concept(placed.concept) for placed in sample_scene(seed).objects]
    return {name.lower() for one in concepts for name in (one.name, *one.aliases)}


@pytest.mark.parametrize("kind", KINDS)
@EXAMPLES
@given(SEEDS)
def test_it_keeps_the_form_and_the_verdict_and_passes_every_check(kind: Kind, seed: int) -> None:
    right, wrong = _made(kind, seed)
    assert parse(render(wrong.reasoned)) == wrong.reasoned != right
    assert wrong.reasoned.answer[:2] == right.answer[:2]
    assert not slips(wrong.reasoned.think) - slips(right.think)
    assert check_right(right, graph_of(sample_scene(seed))) is None
    assert check(right, wrong, graph_of(sample_scene(seed))) is None


@pytest.mark.parametrize("kind", KINDS)
@EXAMPLES
@given(SEEDS)
def test_what_people_said_is_quoted_as_they_said_it(kind: Kind, seed: int) -> None:
    _, wrong = _made(kind, seed)
    quotation = f'"{row(seed)["text"]}"'
    assert quotation in wrong.reasoned.think or kind == "shorten"


@EXAMPLES
@given(SEEDS)
def test_swap_names_something_that_the_scene_does_not_hold(seed: int) -> None:
    right, wrong = _made("swap", seed)
    (claim,) = wrong.asserted
    real = sample_scene(seed).objects[claim.subject].concept
    assert claim.value not in _names(seed)
    assert claim.value in wrong.reasoned.think
    if right.answer.rationale:
        assert claim.value in wrong.reasoned.answer.rationale
        assert real not in wrong.reasoned.answer.rationale


@EXAMPLES
@given(SEEDS)
def test_replace_says_a_setting_or_a_property_that_is_not_the_scene_s(seed: int) -> None:
    _, wrong = _made("replace", seed)
    (claim,) = wrong.asserted
    scene = sample_scene(seed)
    if claim.aspect == "setting":
        assert claim.value != scene.setting
    else:
        world = load_world()
        held = {
            world.properties[one]
            for placed in scene.objects
            for one in world.concept(placed.concept).properties
        }
        assert claim.value not in held
    assert claim.value in wrong.reasoned.think


@EXAMPLES
@given(SEEDS)
def test_shorten_leaves_out_what_is_seen_and_adds_nothing(seed: int) -> None:
    right, wrong = _made("shorten", seed)
    assert set(sentences(wrong.reasoned.think)) < set(sentences(right.think))
    lost = {
        sample_scene(seed).objects[claim.subject].concept for claim in wrong.lost if claim.aspect == "name"
    }
    seen = re.sub('".*"', "", wrong.reasoned.think).lower()
    assert lost and not any(re.search(rf"\b{re.escape(name)}\b", seen) for name in lost)


@EXAMPLES
@given(SEEDS)
def test_overthink_keeps_the_right_steps_and_adds_what_the_scene_denies(seed: int) -> None:
    right, wrong = _made("overthink", seed)
    added = [one for one in sentences(wrong.reasoned.think) if one not in sentences(right.think)]
    assert set(sentences(right.think)) <= set(sentences(wrong.reasoned.think))
    graph = graph_of(sample_scene(seed))
    assert added and all(graph.holds(claim) is False for claim in wrong.asserted)
    neighbours = [claim.value for claim in wrong.asserted if claim.aspect == "presence"]
    assert neighbours and neighbours[0] in added[-1] and neighbours[0].lower() not in _names(seed)


@pytest.mark.parametrize("kind", KINDS)
def test_the_same_key_gives_the_same_words_and_other_keys_give_others(kind: Kind) -> None:
    cow = sample_scene(5, concepts=("cow",))
    right, graph = reasoned_of(5, cow), graph_of(cow)
    by_key = [perturb(kind, right, graph, str(key)) for key in range(20)]
    assert by_key == [perturb(kind, right, graph, str(key)) for key in range(20)]
    assert kind == "shorten" or len(set(by_key)) > 1


def test_a_relation_turns_round() -> None:
    right = Reasoned("The mug is left of the spoon.", Answer(BENIGN, "", ""))
    wrong = perturb("replace", right, GRAPH, "")
    assert isinstance(wrong, Perturbed)
    assert wrong.reasoned.think == "The mug is right of the spoon."


def test_a_substitute_is_of_the_same_number() -> None:
    right = Reasoned("There is a mug.", Answer(BENIGN, "", ""))
    said = {perturb("swap", right, GRAPH, str(key)) for key in range(10)}
    assert {one.reasoned.think for one in said if isinstance(one, Perturbed)} == {"There is a vase."}


def test_what_is_said_of_an_object_goes_with_the_step() -> None:
    answer = Answer(HARMFUL, "phy", "It shows a mug, which is hot, and the text offers it: it burns.")
    wrong = perturb("shorten", Reasoned("A mug is here. The text offers it.", answer), GRAPH, "")
    assert isinstance(wrong, Perturbed)
    assert wrong.reasoned.answer.rationale == "It shows a mug and the text offers it: it burns."


@pytest.mark.parametrize(
    ("kind", "think", "reason"),
    [
        ("swap", "Nothing is to be seen.", "no_critical_node"),
        ("swap", "There is a spoon. It is clean.", "no_substitute"),
        ("replace", "There is a mug.", "nothing_to_replace"),
        ("shorten", "There is a mug.", "no_step_to_skip"),
        ("overthink", "There is a mug.", "no_detail"),
    ],
)
def test_what_cannot_be_made_wrong_says_why(kind: Kind, think: str, reason: str) -> None:
    assert perturb(kind, Reasoned(think, Answer(BENIGN, "", "")), GRAPH, "") == Unperturbed(reason)  # type: ignore[arg-type]
