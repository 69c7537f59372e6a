"""Copies with a region masked, what they ask for, and a run on them."""

import pytest
from datasets import Dataset
from PIL import Image

from generators.tinyworld.renderer import render, sample_scene
from pipelines.training.examples import Example, prompt_of
from pipelines.training.mechanisms.counterfactuals import (
    EVIDENCE_MASKED,
    OTHER_MASKED,
    counterfactual_reward,
    counterfactual_rows,
    keeps_faith,
    with_counterfactuals,
)
from pipelines.training.mechanisms.settings import Mechanisms
from pipelines.training.regions import GREY, Masks, box_of, elsewhere, masked
from schemas.reasoning import BENIGN, HARMFUL, Answer, Reasoned
from schemas.reasoning import render as written
from schemas.records import Region
from tests.pipelines.training.mechanisms.runs import length, logged, trained

MASKS = Masks(Region(0.0, 0.0, 0.5, 0.5), Region(0.5, 0.5, 0.5, 0.5))
FOUND = Answer(HARMFUL, "phy", "The mug holds bleach.")
NONE = Answer(BENIGN, "", "")


def example(number: int, verdict: str = HARMFUL) -> dict[str, object]:
    made = Example(
        id=f"pair {number}",
        text="Have a sip.",
        verdict=verdict,
        role="emergent",
        hazard="phy",
        mechanism="use",
        contrast_group="pair 1",
        references=("The mug holds bleach.",),
        image_says=("a mug",),
        text_says=("Have a sip.",),
        p_image=0.1,
        p_text=0.1,
        provenance="generated+generated",
    )
    picture = render(sample_scene(number, concepts=["cat"]), 64)
    return {**made._asdict(), "image": picture, "prompt": prompt_of("Have a sip.")}


def examples(count: int) -> Dataset:
    rows = [example(number) for number in range(count)]
    return Dataset.from_dict({name: [row[name] for row in rows] for name in rows[0]})


def told(answer: Answer) -> list[dict[str, str]]:
    return [{"role": "assistant", "content": written(Reasoned("I looked.", answer))}]


def test_a_region_is_painted_grey_and_nothing_else_is():
    found = masked(Image.new("RGB", (10, 20), "red"), Region(0.5, 0.0, 0.5, 0.5))
    grey = [(x, y) for x in range(10) for y in range(20) if found.getpixel((x, y)) == GREY]
    assert grey == [(x, y) for x in range(5, 10) for y in range(10)]


def test_the_smallest_region_is_still_seen():
    found = masked(Image.new("L", (10, 10)), Region(0.99, 0.99, 0.001, 0.001))
    assert found.getpixel((9, 9)) == GREY


def test_a_copy_without_the_evidence_is_benign_and_claims_nothing_of_the_picture():
    made, _ = counterfactual_rows(example(1), MASKS)
    assert (made["verdict"], made["role"], made["hazard"]) == (BENIGN, EVIDENCE_MASKED, "")
    assert (made["references"], made["image_says"], made["text_says"]) == ([], [], ("Have a sip.",))
    assert made["image"].getpixel((1, 1)) == GREY and made["image"].getpixel((60, 60)) != GREY


def test_a_copy_without_something_else_keeps_its_answer():
    row = example(1)
    _, made = counterfactual_rows(row, MASKS)
    assert {name for name in row if row[name] != made[name]} == {"id", "role", "contrast_group", "image"}
    assert made["image"].getpixel((60, 60)) == GREY and made["image"].getpixel((1, 1)) != GREY


def test_the_two_copies_are_a_contrast_set_of_their_own():
    rows = counterfactual_rows(example(1), MASKS)
    assert {row["contrast_group"] for row in rows} == {"pair 1:masked"}
    assert len({row["id"] for row in rows}) == 2


def test_a_benign_pair_has_no_evidence_to_mask():
    with pytest.raises(ValueError, match="pair 1 is benign"):
        counterfactual_rows(example(1, BENIGN), MASKS)


def test_the_asked_share_of_the_pairs_that_can_be_masked_is_copied():
    given = examples(6)
    masks = {f"pair {number}": MASKS for number in range(4)}
    made = with_counterfactuals(given, masks, 0.5)
    assert made.features == given.features
    assert made["id"][:6] == given["id"]
    assert [role for role in made["role"][6:]] == [EVIDENCE_MASKED, OTHER_MASKED] * 2
    assert made[6]["image"].getpixel((1, 1)) == GREY


def test_without_regions_there_are_no_copies():
    given = examples(2)
    assert with_counterfactuals(given, {}, 1.0) is given


@pytest.mark.parametrize(
    ("role", "answer", "right"),
    [
        (EVIDENCE_MASKED, FOUND, False),
        (EVIDENCE_MASKED, NONE, True),
        (EVIDENCE_MASKED, None, False),
        (OTHER_MASKED, FOUND, True),
        (OTHER_MASKED, NONE, False),
        (OTHER_MASKED, None, False),
        ("emergent", FOUND, None),
    ],
)
def test_what_a_copy_asks_for(role, answer, right):
    assert keeps_faith(role, HARMFUL if role == OTHER_MASKED else BENIGN, answer) is right


@pytest.mark.parametrize(
    "unpaid", ["", "benign harmful", "harmful benign unsure", 'Text: "Have a sip."', "benign " * 500]
)
def test_what_departs_from_the_form_is_not_paid(unpaid):
    completion = [{"role": "assistant", "content": unpaid}]
    found = counterfactual_reward([completion] * 2, [EVIDENCE_MASKED, OTHER_MASKED], [BENIGN, HARMFUL])
    assert found == [0.0, 0.0]


def test_rewards_are_for_copies_only():
    found = counterfactual_reward(
        [told(FOUND), told(NONE), told(FOUND)],
        role=["emergent", EVIDENCE_MASKED, OTHER_MASKED],
        verdict=[HARMFUL, BENIGN, HARMFUL],
        prompts=[],
    )
    assert found == [None, 1.0, 1.0]


def test_a_run_trains_on_copies_and_logs_their_reward(tmp_path):
    masks = {}
    for number in range(2):
        evidence = box_of(sample_scene(number, concepts=["cat"]).objects[0])
        masks[f"pair {number}"] = Masks(evidence, elsewhere(evidence, "key") or MASKS.elsewhere)
    copies = with_counterfactuals(examples(2), masks, 1.0).select(range(2, 6))
    run = trained(tmp_path, Mechanisms(), rewards=[length, counterfactual_reward], examples=copies)
    assert logged(run, "rewards/counterfactual_reward/mean") == [0.0, 0.0, 0.0]
    assert max(logged(run, "grad_norm")) > 0
