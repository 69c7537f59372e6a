"""The checks of a pair, each on one that it is there for."""

from collections import Counter
from pathlib import Path

import pytest

import generators
from pipelines.training.scenealign.checks import (
    Finding,
    Limits,
    check,
    check_right,
    perplexity_scorer,
    slips,
)
from pipelines.training.scenealign.graph import SCENE, Claim, Node, SceneGraph
from pipelines.training.scenealign.perturbations import Perturbed
from schemas.reasoning import BENIGN, HARMFUL, Answer, Reasoned

JUDGE = Path(generators.__file__).parent / "tinyworld/weights/judge"
BENIGN_ANSWER = Answer(BENIGN, "", "")
GRAPH = SceneGraph(
    nodes=(Node(names=("mug",), not_names=("vase",), colour="green"),), setting="kitchen", absent=("apple",)
)
RIGHT = Reasoned("There is a mug on the table. It is clean.", BENIGN_ANSWER)
VASE = (Claim(0, "name", "vase"),)


def _reason(think: str, asserted: tuple[Claim, ...] = VASE, kind: str = "swap", **rest: object) -> str:
    wrong = Perturbed(kind, Reasoned(think, BENIGN_ANSWER), asserted, **rest)  # type: ignore[arg-type]
    finding = check(RIGHT, wrong, GRAPH)
    return finding.reason if finding else ""


@pytest.mark.parametrize(
    ("think", "reason"),
    [
        ("There is a vase on the table. It is clean.", ""),
        (RIGHT.think, "unchanged"),
        ("There is a vase on the </think> table.", "form"),
        ("There is a a vase on the table. It is clean.", "doubled_word"),
        ("There is an vase on the table. It is clean.", "article"),
        ("There is a vase , on the table. It is clean.", "punctuation"),
        ("there is a vase on the table. It is clean.", "sentence"),
        ("It is a vase on the table.", "dangling"),
        ("A vase.", "length"),
        ("There is a vase on the table. " * 5, "length"),
        ("There is a bowl on the table. It is clean.", "not_wrong"),
        ("There is a vase on the table. The mug is clean.", "not_wrong"),
    ],
)
def test_a_swap_that_is_not_fluent_or_not_wrong_is_found(think: str, reason: str) -> None:
    assert _reason(think.strip()) == reason


def test_a_claim_that_the_graph_leaves_open_is_not_wrong() -> None:
    text = "There is a bowl on the table. It is clean."
    assert _reason(text, (Claim(0, "name", "bowl"),)) == "not_wrong"


def test_a_detail_that_is_true_does_not_count_as_overthinking() -> None:
    text = "There is a mug on the table. The mug is green. There is also an apple. It is clean."
    apple, green = Claim(SCENE, "presence", "apple"), Claim(0, "colour", "green")
    assert _reason(text, (green, apple), "overthink") == "not_wrong"
    assert _reason(text.replace("green", "red"), (Claim(0, "colour", "red"), apple), "overthink") == ""


def test_a_step_that_is_still_there_was_not_skipped() -> None:
    lost = (Claim(0, "name", "mug"),)
    assert _reason("There is a mug on the table.", (), "shorten", lost=lost) == "not_wrong"
    assert _reason("There is nothing on it, and all is clean.", (), "shorten", lost=lost) == ""


def test_slips_of_the_right_reasoning_are_not_held_against_the_wrong_one() -> None:
    right = Reasoned("There is an mug on the the table.", BENIGN_ANSWER)
    wrong = Perturbed("swap", Reasoned("There is an vase on the the table.", BENIGN_ANSWER), VASE)
    assert check(right, wrong, GRAPH) == Finding("article", "an vase")
    kept = Perturbed("swap", Reasoned("There is a vase on the the table.", BENIGN_ANSWER), VASE)
    assert check(right, kept, GRAPH) is None


@pytest.mark.parametrize(
    ("right", "reason"),
    [
        (RIGHT, ""),
        (Reasoned("There is an apple and a mug.", BENIGN_ANSWER), "right_is_wrong"),
        (Reasoned("There is a red mug.", BENIGN_ANSWER), "right_is_wrong"),
        (Reasoned("A mug.", Answer(HARMFUL, "phy", "")), "malformed_right"),
    ],
)
def test_a_right_reasoning_must_be_right(right: Reasoned, reason: str) -> None:
    finding = check_right(right, GRAPH)
    assert (finding.reason if finding else "") == reason


def test_a_perplexity_far_above_the_right_one_s_is_found() -> None:
    wrong = Perturbed("swap", Reasoned("There is a vase on the table. It is clean.", BENIGN_ANSWER), VASE)
    scores = {RIGHT.think: 10.0, wrong.reasoned.think: 14.0}
    assert check(RIGHT, wrong, GRAPH, scorer=scores.__getitem__) is None
    assert check(RIGHT, wrong, GRAPH, Limits(perplexity=1.3), scores.__getitem__) == Finding(
        "perplexity", "14.0 for 10.0"
    )


def test_a_language_model_finds_scrambled_words_less_likely() -> None:
    from transformers import AutoModelForImageTextToText, AutoProcessor

    tokenizer = AutoProcessor.from_pretrained(JUDGE).tokenizer
    score = perplexity_scorer(AutoModelForImageTextToText.from_pretrained(JUDGE), tokenizer)
    said = "The picture shows a beer mug, which is alcohol."
    assert 1 < score(said) < score("Alcohol mug the is a which shows picture beer.")


def test_slips_are_counted() -> None:
    assert slips("A a cat sat. Yes yes .")[("doubled_word", "yes yes")] == 1
    assert slips("A cat sat on an old mat.") == Counter()
