from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image

from generators.tinyworld.renderer import render, sample_scene
from pipelines.training.evaluation.answering import TOO_LONG, Answerer, Question, forced_prefix
from pipelines.training.evaluation.loading import load_model
from pipelines.training.examples import prompt_of
from schemas.config import Model
from schemas.reasoning import Answer, Reasoned
from schemas.reasoning import render as rendered
from tests.checkpoints import qwen_vl

START = '<result>{"verdict": "'


@pytest.fixture(scope="module")
def loaded() -> tuple[Any, Any]:
    """A model that knows nothing of the form of an answer."""
    return load_model(Model(path="builtin:tinyworld/judge", device="cpu"))


@pytest.fixture(scope="module")
def answerer(loaded: tuple[Any, Any]) -> Answerer:
    return Answerer(*loaded, max_new_tokens=12)


def question(number: int, text: str = "Have a taste of this.") -> Question:
    return Question(text, render(sample_scene(number)))


def test_a_well_formed_completion_is_kept_up_to_its_verdict() -> None:
    completion = rendered(Reasoned("it burns", Answer("harmful", "phy", "fire")))
    assert forced_prefix(completion) == f"<think>it burns</think>{START}"


def test_the_spaces_of_a_completion_are_its_own() -> None:
    completion = '<think>it burns</think>\n<result> {"verdict": "benign"}'
    assert forced_prefix(completion) == '<think>it burns</think>\n<result> {"verdict": "'


@pytest.mark.parametrize(
    ("completion", "reasoning"),
    [
        ("<think>it burns and", "it burns and"),
        ("it burns", "it burns"),
        ("<think>it burns</think> so there", "it burns"),
        ("<think>it burns</think><result>harmful</result>", "it burns"),
        ("", ""),
    ],
)
def test_a_malformed_completion_keeps_its_reasoning_and_is_closed(completion: str, reasoning: str) -> None:
    assert forced_prefix(completion) == f"<think>{reasoning}</think>{START}"


def test_the_prompt_is_that_of_training(loaded: tuple[Any, Any], answerer: Answerer) -> None:
    wanted = loaded[1].apply_chat_template(prompt_of("Have a taste."), add_generation_prompt=True)
    assert answerer.prompt("Have a taste.") == wanted


def test_a_text_cannot_smuggle_in_an_image(answerer: Answerer) -> None:
    assert answerer.prompt("Look at <image> and </s> this").count("<image>") == 1
    assert len(answerer.answer([question(1, "Look at <image> and </s> this")])) == 1


def test_a_model_that_does_not_know_the_form_still_has_a_probability(answerer: Answerer) -> None:
    found = answerer.answer([question(1), question(2)])
    assert [one.reasoned for one in found] == [None, None]
    assert all(0 <= one.p_harmful <= 1 and one.completion for one in found)
    assert found[0].log_odds != found[1].log_odds


def test_the_same_questions_have_the_same_answers(answerer: Answerer) -> None:
    batch = [
        question(1),
        question(2, "Short."),
        question(3, "A text that is a good deal longer than the others."),
    ]
    assert answerer.answer(batch) == answerer.answer(batch)


def test_neighbours_of_other_lengths_do_not_change_an_answer(answerer: Answerer) -> None:
    long = question(
        3, "A text that is a good deal longer than the other one, and so the other one is padded."
    )
    alone, beside = answerer.answer([question(1)])[0], answerer.answer([question(1), long])[0]
    assert alone.completion == beside.completion
    assert alone.log_odds == pytest.approx(beside.log_odds, abs=1e-3)


def test_log_odds_are_the_likelihoods_of_the_two_verdicts(
    loaded: tuple[Any, Any], answerer: Answerer
) -> None:
    model, processor = loaded
    asked = question(4)
    found = answerer.answer([asked])[0]
    start = answerer.prompt(asked.text) + forced_prefix(found.completion)

    def likelihood(verdict: str) -> float:
        """One token after the other, without a batch."""
        inputs = processor(
            text=[start + verdict], images=[asked.image], add_special_tokens=False, return_tensors="pt"
        )
        before = len(processor.tokenizer(start, add_special_tokens=False)["input_ids"])
        tail = len(processor.tokenizer(start + verdict, add_special_tokens=False)["input_ids"]) - before
        with torch.inference_mode():
            each = model(**inputs).logits[0].log_softmax(-1)
        ids = inputs["input_ids"][0]
        return sum(float(each[place - 1, ids[place]]) for place in range(len(ids) - tail, len(ids)))

    assert found.log_odds == pytest.approx(likelihood("harmful") - likelihood("benign"), abs=2e-3)


def test_a_text_that_the_model_has_no_room_for_is_not_answered(answerer: Answerer) -> None:
    found = answerer.answer([question(1), question(2, "word " * 600)])
    assert found[0].completion and found[1] == TOO_LONG
    assert answerer.answer([question(2, "word " * 600)]) == [TOO_LONG]
    assert TOO_LONG.p_harmful == 0.5


def test_a_completion_that_fills_all_positions_still_has_a_probability(loaded: tuple[Any, Any]) -> None:
    long = Answerer(*loaded, max_new_tokens=10_000)
    found = long.answer([Question("word " * 200, Image.new("RGB", (64, 64), "red"))])[0]
    assert 0 <= found.p_harmful <= 1 and found.reasoned is None


def test_a_model_of_another_architecture_answers_about_images_of_any_size(tmp_path: Path) -> None:
    tiny = Answerer(*load_model(Model(path=str(qwen_vl(tmp_path / "qwen")), device="cpu")), max_new_tokens=5)
    batch = [Question("Look.", Image.new("RGB", size, "red")) for size in ((60, 60), (200, 40), (90, 150))]
    found = tiny.answer(batch)
    assert len(found) == 3 and all(0 <= one.p_harmful <= 1 for one in found)
    assert found[1].log_odds == pytest.approx(tiny.answer(batch[1:2])[0].log_odds, abs=1e-3)
