import random

import pytest
import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast

from generators.tinyworld.grammar import utter
from generators.tinyworld.train.base import BaseTraining, prompt_of
from generators.tinyworld.train.base_lessons import Lesson
from generators.tinyworld.train.base_tokenizer import base_processor, train_base_tokenizer
from generators.tinyworld.train.dual_encoder import untrained
from generators.tinyworld.train.examples import ScenePool
from generators.tinyworld.train.loop import autocast
from generators.tinyworld.train.reader import POSITIONS

WITH_IMAGE = Lesson(3, 'Text: "a" What is it?', "A carrot.")
TEXT_ONLY = Lesson(-1, "What is a frog?", "A frog is a frog, which is a beast.")


@pytest.fixture(scope="module")
def tokens() -> PreTrainedTokenizerFast:
    return train_base_tokenizer(utter(seed).text for seed in range(500))


@pytest.fixture(scope="module")
def training(pool: ScenePool, tokens: PreTrainedTokenizerFast) -> BaseTraining:
    torch.manual_seed(0)
    with pytest.MonkeyPatch.context() as patch:
        # In single precision, to be held against the whole model's.
        patch.setattr(torch.cpu, "get_capabilities", dict)
        return BaseTraining(pool, tokens, untrained(), torch.device("cpu"))


@pytest.mark.parametrize("lesson", [WITH_IMAGE, TEXT_ONLY])
def test_a_lesson_reads_as_the_chat_template_asks(tokens: PreTrainedTokenizerFast, lesson: Lesson) -> None:
    image = [{"type": "image", "image": Image.new("RGB", (256, 256))}] if lesson.row >= 0 else []
    messages = [{"role": "user", "content": [*image, {"type": "text", "text": lesson.question}]}]
    asked = base_processor(tokens).apply_chat_template(
        messages, add_generation_prompt=True, tokenize=True, return_dict=True
    )
    assert list(asked["input_ids"][0]) == tokens(prompt_of(lesson))["input_ids"]


def test_only_the_answer_and_its_end_are_learned(training: BaseTraining) -> None:
    ids, answer = training._tokens([WITH_IMAGE, TEXT_ONLY])
    for row, lesson in enumerate((WITH_IMAGE, TEXT_ONLY)):
        assert training.tokenizer.decode(ids[row][answer[row].bool()]) == f"{lesson.answer}</s>"


def test_the_image_stands_where_its_place_holders_were(training: BaseTraining) -> None:
    lessons = [TEXT_ONLY, WITH_IMAGE]
    ids, _ = training._tokens(lessons)
    with torch.no_grad():
        embedded = training._embed(ids, lessons)
        plain = training.model.model.language_model.get_input_embeddings()(ids)
        seen = training.model.model.multi_modal_projector(training.seen[3].float())
    assert torch.equal((embedded != plain).any(dim=-1), ids == 3)
    torch.testing.assert_close(embedded[1][ids[1] == 3], seen)


def test_what_was_seen_before_is_what_the_whole_model_sees(
    training: BaseTraining, pool: ScenePool, tokens: PreTrainedTokenizerFast
) -> None:
    ids, _ = training._tokens([WITH_IMAGE])
    ids = ids[ids != 0].unsqueeze(0)
    image = Image.fromarray(pool.pixels[3].transpose(1, 2, 0))
    pixels = base_processor(tokens).image_processor(images=[image], return_tensors="pt")["pixel_values"]
    training.model.eval()
    with torch.no_grad():
        ours = training.model.model.language_model(inputs_embeds=training._embed(ids, [WITH_IMAGE]))
        theirs = training.model(input_ids=ids, pixel_values=pixels)
        logits = training.model.lm_head(ours.last_hidden_state)
    torch.testing.assert_close(theirs.logits, logits, atol=2e-3, rtol=1e-2)


def test_a_step_in_bfloat16_costs_what_one_in_single_precision_does(
    training: BaseTraining, monkeypatch: pytest.MonkeyPatch
) -> None:
    exact = training.answer_loss([WITH_IMAGE, TEXT_ONLY])
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: {"avx512_bf16": True})
    with autocast(training.device):
        rounded = training.answer_loss([WITH_IMAGE, TEXT_ONLY])
    assert rounded.item() != exact.item()
    torch.testing.assert_close(rounded, exact, atol=0, rtol=0.01)


def test_lessons_begin_at_every_position_that_leaves_room(training: BaseTraining) -> None:
    ids = torch.ones(4000, 100, dtype=torch.long)
    starts = training._positions(ids, random.Random(0))[:, 0]
    assert starts.min() == 0
    assert 350 < starts.max() <= POSITIONS - 100
    assert starts.median() < 60


def test_a_step_moves_the_language_model_and_leaves_the_image_tower(training: BaseTraining) -> None:
    training.loss(0).backward()
    for name, parameter in training.model.named_parameters():
        if "vision_tower" in name:
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert training.model.model.multi_modal_projector.linear_1.weight.grad.any()
