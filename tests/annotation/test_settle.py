"""Pairs are settled by votes and by experts, and what is not settled has no answer."""

from pathlib import Path

from annotation.answers import read_answers
from annotation.settle import settle
from schemas.records import Adjudication, Annotation
from tests.planted import annotation, pair_id, skip, write_annotations

PAIR = pair_id(0, "emergent")


def settled(dataset: Path, *made: Annotation) -> Adjudication:
    write_annotations(dataset, made)
    (row,) = settle(read_answers(dataset), "majority").rows
    return row


def said(*joint: str, **fields: object) -> list[Annotation]:
    return [annotation(PAIR, name, one, **fields) for name, one in zip("abcdefg", joint, strict=False)]


def test_a_majority_settles_and_the_minority_stays_visible(dataset: Path) -> None:
    row = settled(dataset, *said("yes", "no", "yes"))
    assert (row.joint_harmful, row.status, row.method) == ("yes", "settled", "majority")
    assert row.agreement == row.confidence == 0.6667
    assert [vote[3] for vote in row.votes] == ["yes", "no", "yes"]
    assert row.rationales == ("a says why.", "c says why.")


def test_a_tie_has_no_answer(dataset: Path) -> None:
    row = settled(dataset, *said("yes", "no"))
    assert (row.status, row.joint_harmful, row.image_harmful, row.hazard) == ("tie", "", "", "")
    assert row.rationales == ("a says why.",)


def test_a_pair_is_not_settled_while_its_image_is_not(dataset: Path) -> None:
    row = settled(dataset, *said("yes", image_harmful="yes"), annotation(PAIR, "b", "yes"))
    assert row.status == "tie"


def test_a_pair_that_all_skipped_needs_an_expert(dataset: Path) -> None:
    row = settled(dataset, skip(PAIR, "a"), skip(PAIR, "b"))
    assert (row.status, row.confidence, row.votes) == ("low_confidence", 0.0, ())


def test_an_expert_settles_against_the_first_round(dataset: Path) -> None:
    row = settled(dataset, *said("yes", "yes", "no"), annotation(PAIR, "x", "no", round=2))
    assert (row.joint_harmful, row.method, row.confidence) == ("no", "expert", 1.0)
    assert row.agreement == 0.6667


def test_an_expert_who_is_unsure_settles_nothing(dataset: Path) -> None:
    row = settled(dataset, *said("yes", "no"), annotation(PAIR, "x", "unsure", round=2))
    assert row.status == "tie"


def test_experts_who_contradict_each_other_leave_it_open(dataset: Path) -> None:
    experts = [annotation(PAIR, name, joint, round=2) for name, joint in (("x", "yes"), ("y", "no"))]
    assert settled(dataset, *said("yes", "yes"), *experts).status == "tie"


def test_what_it_is_about_is_said_by_those_who_found_harm(dataset: Path) -> None:
    rows = [
        annotation(PAIR, name, "yes", hazard=hazard)
        for name, hazard in zip("abc", ("prv", "phy", "phy"), strict=True)
    ]
    row = settled(dataset, *rows, annotation(PAIR, "d", "no", hazard="hte"))
    assert (row.hazard, row.mechanism) == ("phy", "poisoning")


def test_severity_is_the_median_and_the_higher_of_two(dataset: Path) -> None:
    rows = [annotation(PAIR, name, "yes", severity=n) for name, n in zip("abcd", (1, 2, 3, 4), strict=True)]
    assert settled(dataset, *rows).severity == 3


def test_pairs_outside_the_dataset_are_not_adjudicated(dataset: Path) -> None:
    assert settled(dataset, annotation("f" * 64, "a"), annotation(PAIR, "a")).pair_id == PAIR
