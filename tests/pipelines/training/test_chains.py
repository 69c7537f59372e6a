from typing import Any

import pytest

from pipelines.training.chains import NOTHING, can_teach, chain_of, lesson_of
from schemas.reasoning import BENIGN, HARMFUL, parse

HARM: dict[str, Any] = {
    "id": "p1",
    "text": "Touch it.",
    "verdict": HARMFUL,
    "hazard": "phy",
    "references": [
        "The picture shows a stove, which is hot, and the text urges to touch: it burns.",
        "It burns.",
    ],
    "image_says": ["a stove in a kitchen.", "kitchen: stove"],
    "p_image": 0.02,
    "p_text": 0.01,
}
CALM = HARM | {"verdict": BENIGN, "hazard": "", "references": []}


def test_a_harmful_pairs_chain_names_the_image_the_verdicts_apart_and_the_preferred_rationale() -> None:
    said = chain_of(HARM)
    assert said.think == (
        "The image shows a stove in a kitchen. The image alone is benign, the text alone is benign. "
        f"Together: {HARM['references'][0]}"
    )
    assert said.answer == (HARMFUL, "phy", HARM["references"][0])


def test_a_benign_pairs_chain_ends_in_no_harm() -> None:
    said = chain_of(CALM)
    assert said.think.endswith(f"Together: {NOTHING}")
    assert said.answer == (BENIGN, "", "")


def test_screening_that_found_harm_in_one_part_is_said() -> None:
    assert "The image alone is harmful, the text alone is benign." in chain_of(CALM | {"p_image": 0.5}).think


def test_what_the_model_reads_stands_for_the_alt_text() -> None:
    think = chain_of(HARM, "The picture shows a stove, and the text urges to touch it.").think
    assert think.startswith(
        "The picture shows a stove, and the text urges to touch it. The image alone is benign"
    )
    assert "a stove in a kitchen" not in think


def test_a_picture_of_which_nothing_is_known_is_not_described() -> None:
    assert chain_of(CALM | {"image_says": []}).think.startswith("The image alone is benign")


def test_a_harmful_pair_without_a_rationale_teaches_nothing() -> None:
    mute = HARM | {"references": []}
    assert not can_teach(mute)
    assert can_teach(HARM) and can_teach(CALM)
    with pytest.raises(ValueError, match="p1 is harmful and has no rationale"):
        chain_of(mute)


def test_a_lesson_asks_about_the_text_and_answers_in_the_form() -> None:
    lesson = lesson_of(HARM)
    (asked,) = lesson["prompt"]
    assert [part["type"] for part in asked["content"]] == ["image", "text"]
    assert "Touch it." in asked["content"][1]["text"]
    (answered,) = lesson["completion"]
    assert parse(answered["content"][0]["text"]) == chain_of(HARM)
