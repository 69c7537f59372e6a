"""Scene graphs: what is true, false and open, and what contradicts itself."""

import pytest
from pydantic import ValidationError

from pipelines.training.scenealign.graph import SCENE, Claim, Node, Relation, SceneGraph

MUG = Node(
    names=("mug", "cup"),
    not_names=("vase",),
    colour="green",
    place="top left",
    traits=("full of tea",),
    not_traits=("empty",),
)
SPOON = Node(names=("spoon",))
GRAPH = SceneGraph(
    nodes=(MUG, SPOON),
    relations=(Relation(subject=0, predicate="left of", object=1),),
    setting="kitchen",
    elsewhere=("garden",),
    absent=("plate",),
)


@pytest.mark.parametrize(
    ("claim", "holds"),
    [
        (Claim(0, "name", "Cup"), True),
        (Claim(0, "name", "vase"), False),
        (Claim(0, "name", "bowl"), None),
        (Claim(0, "colour", "green"), True),
        (Claim(0, "colour", "red"), False),
        (Claim(0, "colour", "blue"), None),
        (Claim(1, "colour", "red"), None),
        (Claim(0, "place", "bottom right"), False),
        (Claim(0, "trait", "empty"), False),
        (Claim(0, "trait", "hot"), None),
        (Claim(SCENE, "setting", "garden"), False),
        (Claim(SCENE, "setting", "room"), None),
        (Claim(SCENE, "presence", "plate"), False),
        (Claim(0, "relation", "left of", 1), True),
        (Claim(1, "relation", "right of", 0), True),
        (Claim(0, "relation", "right of", 1), False),
        (Claim(1, "relation", "left of", 0), False),
        (Claim(0, "relation", "above", 1), None),
    ],
)
def test_a_claim_is_true_or_false_or_open(claim: Claim, holds: bool | None) -> None:
    assert GRAPH.holds(claim) is holds


@pytest.mark.parametrize(
    "wrong",
    [
        {"absent": ("Spoon",)},
        {"elsewhere": ("Kitchen",)},
        {"nodes": (MUG, Node(names=("spoon",), not_names=("cup",)))},
        {"nodes": (MUG, Node(names=("spoon",), traits=("bent",), not_traits=("bent",)))},
        {"relations": (Relation(subject=0, predicate="above", object=2),)},
        {"relations": (Relation(subject=1, predicate="above", object=1),)},
        {
            "relations": (
                Relation(subject=0, predicate="above", object=1),
                Relation(subject=1, predicate="above", object=0),
            )
        },
    ],
)
def test_a_graph_that_contradicts_itself_is_refused(wrong: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        SceneGraph.model_validate({**dict(GRAPH), **wrong})
