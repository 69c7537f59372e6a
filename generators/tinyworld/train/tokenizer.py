"""One byte-level BPE tokenizer for all four models, learned from the captions, utterances and rationales."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers
from transformers import PreTrainedTokenizerFast

from schemas.questions import NO, YES

PAD, BOS, EOS, IMAGE = "<pad>", "<s>", "</s>", "<image>"
VOCABULARY = 2048


def train_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Learn a vocabulary of 2,048 tokens; any Unicode text can be encoded, since bytes are the alphabet."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=True)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY,
        special_tokens=[PAD, BOS, EOS, IMAGE],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    answers = [f"{YES} {NO} {YES}, {NO}."] * 1000
    tokenizer.train_from_iterator([*texts, *answers], trainer)
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, pad_token=PAD, bos_token=BOS, eos_token=EOS, model_max_length=128
    )


def with_boundaries(tokenizer: PreTrainedTokenizerFast) -> PreTrainedTokenizerFast:
    """The same vocabulary for encoders: every sequence between `<s>` and `</s>`."""
    bounded = Tokenizer.from_str(tokenizer.backend_tokenizer.to_str())
    bounded.post_processor = processors.TemplateProcessing(
        single=f"{BOS} $A {EOS}",
        special_tokens=[(t, bounded.token_to_id(t)) for t in (BOS, EOS)],
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=bounded,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        cls_token=BOS,
        sep_token=EOS,
        model_max_length=128,
    )
