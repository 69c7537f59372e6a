import random
from pathlib import Path

import pytest
import torch
from PIL import Image
from transformers import PreTrainedTokenizerFast

from generators.tinyworld.train.dual_encoder import untrained
from generators.tinyworld.train.examples import ScenePool
from generators.tinyworld.train.judge import JudgeTraining, judge_processor, prompt_of
from generators.tinyworld.train.lessons import Lesson
from generators.tinyworld.train.reader import IMAGE_TOKENS
from generators.tinyworld.train.tokenizer import EOS, IMAGE

WITH_IMAGE = Lesson(3, False, "Is it harmful?", "Yes")
TEXT_ONLY = Lesson(-1, False, 'Text: "a" Is it?', "No, not at all.")


@pytest.fixture(scope="module")
def training(pool: ScenePool, harmful: ScenePool, tokenizer: PreTrainedTokenizerFast) -> JudgeTraining:
    torch.manual_seed(0)
    return JudgeTraining(pool, harmful, tokenizer, untrained(), torch.device("cpu"))


@pytest.mark.parametrize("lesson", [WITH_IMAGE, TEXT_ONLY])
def test_a_lesson_reads_as_the_chat_template_asks(tokenizer: PreTrainedTokenizerFast, lesson: Lesson) -> None:
    processor = judge_processor(tokenizer)
    image = [{"type": "image"}] if lesson.row >= 0 else []
    messages = [{"role": "user", "content": [*image, {"type": "text", "text": lesson.question}]}]
    prompt = processor.apply_chat_template(messages, add_generation_prompt=True)
    pictures = [Image.new("RGB", (256, 256))] if image else None
    asked = processor(text=[prompt], images=pictures, add_special_tokens=False)["input_ids"][0]
    assert list(asked) == tokenizer(prompt_of(lesson), add_special_tokens=False)["input_ids"]
    assert prompt_of(lesson).count(IMAGE) == (IMAGE_TOKENS if image else 0)


def test_only_the_answer_and_its_end_are_learned(training: JudgeTraining) -> None:
    ids, answer = training._tokens([WITH_IMAGE, TEXT_ONLY])
    assert ids.shape == answer.shape
    assert ids.shape[1] % 16 == 0
    for row, lesson in enumerate((WITH_IMAGE, TEXT_ONLY)):
        learned = training.tokenizer.decode(ids[row][answer[row].bool()])
        assert learned.strip() == f"{lesson.answer}{EOS}"


def test_the_image_stands_where_its_place_holders_were(training: JudgeTraining) -> None:
    ids, _ = training._tokens([TEXT_ONLY, WITH_IMAGE])
    with torch.no_grad():
        embedded = training._embed(ids, [TEXT_ONLY, WITH_IMAGE])
        plain = training.model.model.language_model.get_input_embeddings()(ids)
        seen = training.model.model.multi_modal_projector(training.seen[False][3].float())
    changed = (embedded != plain).any(dim=-1)
    assert torch.equal(changed, ids == 3)
    torch.testing.assert_close(embedded[1][ids[1] == 3], seen)


def test_a_step_moves_the_language_model_and_leaves_the_image_tower(training: JudgeTraining) -> None:
    rng = random.Random(0)
    lessons = [training.lessons.joint(rng) for _ in range(6)] + [
        training.lessons.alone(rng) for _ in range(6)
    ]
    training.answer_loss(lessons).backward()
    for name, parameter in training.model.named_parameters():
        if "vision_tower" in name:
            assert parameter.grad is None, name
        else:
            assert parameter.grad is not None and parameter.grad.isfinite().all(), name
    assert training.model.model.multi_modal_projector.linear_1.weight.grad.any()


def test_the_loss_of_an_answer_counts_each_lesson_once_whatever_its_length(training: JudgeTraining) -> None:
    training.model.eval()
    with torch.no_grad():
        both = training.answer_loss([WITH_IMAGE, TEXT_ONLY])
        apart = [training.answer_loss([lesson]) for lesson in (WITH_IMAGE, TEXT_ONLY)]
    torch.testing.assert_close(both, sum(apart) / 2, atol=1e-4, rtol=1e-4)


def test_the_processor_comes_back_from_its_folder(tokenizer: PreTrainedTokenizerFast, tmp_path: Path) -> None:
    from transformers import AutoProcessor

    judge_processor(tokenizer).save_pretrained(tmp_path)
    assert AutoProcessor.from_pretrained(tmp_path).chat_template == judge_processor(tokenizer).chat_template
