from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image
from transformers import AutoProcessor, LlavaProcessor, PreTrainedTokenizerFast

from generators.tinyworld.grammar import utter
from generators.tinyworld.train.base_tokenizer import TAGS, base_processor, train_base_tokenizer
from generators.tinyworld.train.reader import IMAGE_TOKENS
from generators.tinyworld.train.tokenizer import VOCABULARY
from schemas.reasoning import Answer, Reasoned, parse, render

COMPLETION = render(
    Reasoned("The picture shows a carrot.", Answer("harmful", "phy", 'It is "hot", you see.'))
)
ASKED = [{"role": "user", "content": [{"type": "image"}, {"type": "text", "text": "What is it?"}]}]


@pytest.fixture(scope="module")
def tokens() -> PreTrainedTokenizerFast:
    return train_base_tokenizer(utter(seed).text for seed in range(3000))


@pytest.fixture(scope="module")
def processor(tokens: PreTrainedTokenizerFast) -> LlavaProcessor:
    return base_processor(tokens)


def test_a_completion_comes_back_as_it_was_without_special_tokens(tokens: PreTrainedTokenizerFast) -> None:
    ids = tokens(f"{COMPLETION}</s>")["input_ids"]
    assert tokens.decode(ids, skip_special_tokens=True) == COMPLETION
    assert parse(tokens.decode(ids, skip_special_tokens=True)) == parse(COMPLETION)


def test_each_tag_is_one_token(tokens: PreTrainedTokenizerFast) -> None:
    for tag in TAGS:
        assert len(tokens(tag)["input_ids"]) == 1
        assert tokens.decode(tokens(f"a{tag}b")["input_ids"], skip_special_tokens=True) == f"a{tag}b"


def test_the_words_of_a_result_are_single_tokens(tokens: PreTrainedTokenizerFast) -> None:
    record = '{"verdict": "harmful", "hazard": "phy", "rationale": "'
    assert len(tokens(record)["input_ids"]) <= 16


@given(st.text(alphabet=st.characters(exclude_categories=["Cs"]), max_size=60))
def test_any_text_comes_back(tokens: PreTrainedTokenizerFast, text: str) -> None:
    assert tokens.decode(tokens(text)["input_ids"]) == text


def test_the_vocabulary_is_as_large_as_the_models(tokens: PreTrainedTokenizerFast) -> None:
    assert len(tokens) <= VOCABULARY


@pytest.mark.parametrize("wrap", [False, True])
def test_an_answer_follows_its_prompt_and_ends(processor: LlavaProcessor, wrap: bool) -> None:
    content = [{"type": "text", "text": COMPLETION}] if wrap else COMPLETION
    prompt = processor.apply_chat_template(ASKED, add_generation_prompt=True)
    whole = processor.apply_chat_template([*ASKED, {"role": "assistant", "content": content}])
    assert prompt == "<s><user><image>What is it?<assistant>"
    assert whole == f"{prompt}{COMPLETION}</s>"


def test_a_user_may_say_a_plain_string(processor: LlavaProcessor) -> None:
    said = processor.apply_chat_template([{"role": "user", "content": "Hello"}], add_generation_prompt=True)
    assert said == "<s><user>Hello<assistant>"


def test_the_answer_and_its_end_are_marked_also_behind_an_image(processor: LlavaProcessor) -> None:
    image = Image.new("RGB", (256, 256))
    asked = [{"role": "user", "content": [{"type": "image", "image": image}, ASKED[0]["content"][1]]}]
    answered = [*asked, {"role": "assistant", "content": [{"type": "text", "text": COMPLETION}]}]
    read = processor.apply_chat_template(
        answered, tokenize=True, return_dict=True, return_assistant_tokens_mask=True
    )
    (ids,), (mask,) = read["input_ids"], read["assistant_masks"]
    marked = [token for token, answer in zip(ids, mask, strict=True) if answer]
    assert processor.tokenizer.decode(marked) == f"{COMPLETION}</s>"
    assert list(ids).count(3) == IMAGE_TOKENS


def test_training_can_tell_where_an_answer_ends(processor: LlavaProcessor) -> None:
    templates = pytest.importorskip("trl.chat_template_utils")
    assert templates.is_chat_template_stop_token_trained(processor)
    assert templates.is_chat_template_prefix_preserving(processor)


def test_the_processor_comes_back_from_its_folder(processor: LlavaProcessor, tmp_path: Path) -> None:
    processor.save_pretrained(tmp_path)
    loaded = AutoProcessor.from_pretrained(tmp_path)
    assert loaded.chat_template == processor.chat_template
    assert loaded.tokenizer.padding_side == "left"
    assert loaded.tokenizer(COMPLETION)["input_ids"] == processor.tokenizer(COMPLETION)["input_ids"]
