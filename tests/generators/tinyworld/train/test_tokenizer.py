from hypothesis import given
from hypothesis import strategies as st
from transformers import PreTrainedTokenizerFast

from generators.tinyworld.grammar import utter
from generators.tinyworld.train.tokenizer import (
    BOS,
    EOS,
    IMAGE,
    PAD,
    VOCABULARY,
    train_tokenizer,
    with_boundaries,
)
from schemas.questions import NO, YES

TOKENIZER = train_tokenizer(utter(seed).text for seed in range(500))
SPECIAL = (PAD, BOS, EOS, IMAGE)


def _ids(tokenizer: PreTrainedTokenizerFast, text: str) -> list[int]:
    return list(tokenizer(text, add_special_tokens=False)["input_ids"])


@given(st.text(st.characters(exclude_categories=["Cs"])).filter(lambda t: not any(s in t for s in SPECIAL)))
def test_any_text_comes_back_from_its_tokens(text: str) -> None:
    ids = _ids(TOKENIZER, text)
    read = TOKENIZER.decode(ids, clean_up_tokenization_spaces=False)
    assert read in (text, f" {text}")
    assert all(4 <= i < VOCABULARY for i in ids)


def test_the_special_tokens_have_the_numbers_that_the_configurations_name() -> None:
    assert TOKENIZER.convert_tokens_to_ids(list(SPECIAL)) == [0, 1, 2, 3]


def test_the_answers_are_different_single_tokens() -> None:
    yes, no = (_ids(TOKENIZER, answer) for answer in (YES, NO))
    assert len(yes) == len(no) == 1
    assert yes != no


def test_training_twice_gives_the_same_tokenizer() -> None:
    again = train_tokenizer(utter(seed).text for seed in range(500))
    assert again.backend_tokenizer.to_str() == TOKENIZER.backend_tokenizer.to_str()


def test_an_encoder_reads_every_sequence_between_its_boundaries() -> None:
    bounded = with_boundaries(TOKENIZER)
    assert bounded("good morning")["input_ids"] == [1, *_ids(TOKENIZER, "good morning"), 2]
    assert TOKENIZER("good morning")["input_ids"] == _ids(TOKENIZER, "good morning")
