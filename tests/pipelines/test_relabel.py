"""What people say decides label, role and contrast set of a pair, or that it leaves."""

from typing import Any

import pytest

from pipelines.relabel import Fate, Labelled, fates
from schemas.records import Adjudication

HEAD = Labelled("h", 1, "emergent", "phy", "poisoning", "h", "The machine says why.", "i", "t")
OTHER_IMAGE = Labelled("ci", 0, "contrast_image", "phy", "poisoning", "h", "", "i2", "t")
OTHER_TEXT = Labelled("ct", 0, "contrast_text", "phy", "poisoning", "h", "", "i", "t2")
APART = Labelled("b", 0, "benign", "", "", "", "", "i3", "t3")
PAIRS = [HEAD, OTHER_IMAGE, OTHER_TEXT, APART]


def said(joint: str, **fields: Any) -> Adjudication:
    answers = {
        "joint_harmful": joint,
        "image_harmful": "no",
        "text_harmful": "no",
        "hazard": "",
        "mechanism": "",
    }
    rest = {"pair_id": "", "severity": 0, "confidence": 1.0, "agreement": 1.0, "votes": (), "rationale": ""}
    made = answers | rest | {"rationales": (), "status": "settled", "method": "majority"} | fields
    return Adjudication(**made)


def decided(**adjudications: Adjudication) -> dict[str, Fate]:
    return fates(PAIRS, adjudications)


def placed(**adjudications: Adjudication) -> dict[str, tuple[str, str]]:
    found = decided(**adjudications)
    return {id: (fate.role, fate.contrast_group) for id, fate in found.items() if not fate.excluded}


def test_pairs_that_nobody_annotated_stay_as_they_are() -> None:
    assert decided() == {pair.id: Fate(*pair[1:7]) for pair in PAIRS}


def test_an_emergent_pair_that_people_call_benign_frees_its_partners() -> None:
    found = decided(h=said("no"))
    assert found["h"] == Fate(0, "benign", "", "", "", "")
    assert placed(h=said("no"))["ci"] == placed(h=said("no"))["ct"] == ("benign", "")


def test_a_partner_that_people_call_harmful_heads_a_group_of_its_own() -> None:
    found = placed(ci=said("yes"))
    assert found["ci"] == ("emergent", "ci")
    assert (found["h"], found["ct"]) == (("emergent", "h"), ("contrast_text", "h"))


def test_when_head_and_partner_change_places_the_set_turns_round() -> None:
    found = decided(h=said("no"), ci=said("yes", hazard="prv", mechanism="disclosure"))
    assert (found["ci"].role, found["ci"].contrast_group) == ("emergent", "ci")
    assert found["h"] == Fate(0, "contrast_image", "prv", "disclosure", "ci", "")
    assert (found["ct"].role, found["ct"].contrast_group) == ("benign", "")


def test_partners_follow_the_hazard_of_their_emergent_pair() -> None:
    found = decided(h=said("yes", hazard="hrs", mechanism="theft", rationale="People say why."))
    assert found["h"][2:6] == ("hrs", "theft", "h", "People say why.")
    assert found["ct"][2:4] == ("hrs", "theft")


def test_the_machines_rationale_stays_only_with_its_own_hazard() -> None:
    same = said("yes", hazard="phy", mechanism="poisoning")
    assert decided(h=same)["h"].rationale == "The machine says why."
    assert decided(h=same._replace(hazard="prv"))["h"].rationale == ""


def test_a_benign_pair_that_people_call_harmful_is_emergent() -> None:
    found = decided(b=said("yes", hazard="phy", mechanism="theft", rationale="Why."))
    assert found["b"] == Fate(1, "emergent", "phy", "theft", "b", "Why.")


@pytest.mark.parametrize("joint", ["yes", "no"])
def test_an_image_that_is_harmful_alone_takes_its_pairs_out(joint: str) -> None:
    found = decided(h=said(joint, image_harmful="yes"))
    assert {id: fate.excluded for id, fate in found.items()} == {
        "h": "image_harmful_alone",
        "ct": "image_harmful_alone",
        "ci": "",
        "b": "",
    }
    assert found["ct"].decided_in == "h"
    assert (found["ci"].role, found["ci"].contrast_group) == ("benign", "")


def test_a_pair_that_people_settled_stays_with_its_text() -> None:
    found = decided(h=said("yes", text_harmful="yes"), ci=said("no"))
    assert (found["h"].excluded, found["ci"].excluded) == ("text_harmful_alone", "")


def test_a_closed_hazard_leaves() -> None:
    assert decided(h=said("yes", hazard="iwp"))["h"].excluded == "closed_hazard"


def test_a_pair_that_is_not_settled_keeps_the_machines_label() -> None:
    tied = said("", status="tie", image_harmful="", text_harmful="")
    assert decided(h=tied)["h"] == Fate(*HEAD[1:7])
