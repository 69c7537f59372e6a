"""Annotators are measured against the others and against what is known."""

from pathlib import Path

from annotation.annotators import Annotator, compare, describe_annotators
from annotation.answers import read_answers
from tests.planted import annotation, pair_id, skip, write_annotations, write_gold

ONE, OTHER = pair_id(0, "emergent"), pair_id(1, "emergent")


def described(dataset: Path) -> dict[str, Annotator]:
    answers = read_answers(dataset)
    return describe_annotators(answers, compare(answers.of_dataset(1)))


def test_agreement_is_the_share_of_equal_answers_on_shared_pairs() -> None:
    rows = [annotation(ONE, name, "yes") for name in "ab"]
    rows += [annotation(OTHER, "a", "yes"), annotation(OTHER, "b", "no"), annotation(OTHER, "c", "no")]
    found = {(one.one, one.other): (one.pairs, one.agreement) for one in compare(rows)}
    assert found == {("a", "b"): (2, 0.5), ("a", "c"): (1, 0.0), ("b", "c"): (1, 1.0)}


def test_the_figures_of_an_annotator(dataset: Path) -> None:
    rows = [annotation(ONE, "a", "yes", seconds=10.0), annotation(OTHER, "a", "no", seconds=30.0)]
    write_annotations(dataset, [*rows, skip(pair_id(2, "benign"), "a"), annotation(ONE, "b", "no")])
    found = described(dataset)["a"]
    assert (found.annotations, found.skips, found.seconds) == (2, 1, 20.0)
    assert (found.agreement, found.comparisons) == (0.0, 1)


def test_unsure_is_not_right_on_a_gold_pair(dataset: Path) -> None:
    write_gold(dataset, {ONE: "yes", OTHER: "no"})
    write_annotations(dataset, [annotation(ONE, "a", "yes"), annotation(OTHER, "a", "unsure")])
    found = described(dataset)["a"].accuracy["joint_harmful"]
    assert (found.right, found.of) == (1, 2)


def test_an_expert_of_the_second_round_is_not_described(dataset: Path) -> None:
    write_annotations(dataset, [annotation(ONE, "a"), annotation(ONE, "expert", round=2)])
    assert set(described(dataset)) == {"a"}
