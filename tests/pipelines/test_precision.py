"""The machine is measured on what people have settled."""

from pipelines.precision import HumanFigures, human_figures
from pipelines.relabel import Labelled, fates
from schemas.records import Adjudication
from tests.pipelines.test_relabel import PAIRS, said


def figures(**adjudications: Adjudication) -> HumanFigures:
    more = Labelled("h2", 1, "emergent", "prv", "disclosure", "h2", "", "i9", "t9")
    pairs = [*PAIRS, more]
    return human_figures(pairs, adjudications, fates(pairs, adjudications))


def test_precision_is_the_share_of_emergent_pairs_that_people_call_so() -> None:
    found = figures(h=said("yes"), h2=said("no"), ci=said("no"), b=said("yes"))
    assert found.precision[:3] == (1, 2, 0.5)
    assert {name: one[:2] for name, one in found.precision_by_hazard.items()} == {
        "prv": (0, 1),
        "phy": (1, 1),
    }
    assert found.benign_precision[:2] == (1, 2)


def test_a_pair_harmful_by_its_image_is_not_emergent() -> None:
    assert figures(h=said("yes", image_harmful="yes")).precision[:2] == (0, 1)


def test_what_is_not_settled_does_not_count() -> None:
    found = figures(h=said("", status="tie"))
    assert found.precision.share is None
    assert found.status == {"tie": 1, "unannotated": 4}


def test_changes_are_counted_by_kind() -> None:
    found = figures(h=said("no"), h2=said("yes", hazard="phy", mechanism="disclosure"))
    assert found.changes == {
        "to_benign": 1,
        "to_emergent": 0,
        "excluded": 0,
        "hazard": 1,
        "mechanism": 0,
        "contrast_set": 3,
        "any": 4,
    }
