"""The base's tokenizer and conversation: tags of a reasoned answer are single tokens that decoding keeps."""

from __future__ import annotations

from collections.abc import Iterable

from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import LlavaProcessor, PreTrainedTokenizerFast

from generators.tinyworld.train.reader import POSITIONS, reader_processor
from generators.tinyworld.train.tokenizer import BOS, EOS, IMAGE, PAD, VOCABULARY
from schemas.reasoning import BENIGN, HARMFUL, PROMPT, TAGS, Answer
from schemas.taxonomy import load_taxonomy

USER, ASSISTANT = "<user>", "<assistant>"

TEMPLATE = (
    "<s>"
    "{%- macro said(content) -%}"
    "{%- if content is string -%}{{ content }}"
    "{%- else -%}{%- for part in content -%}"
    "{%- if part['type'] == 'image' -%}<image>{%- else -%}{{ part['text'] }}{%- endif -%}"
    "{%- endfor -%}{%- endif -%}"
    "{%- endmacro -%}"
    "{%- for message in messages -%}"
    "{%- if message['role'] == 'assistant' -%}"
    "<assistant>{% generation %}{{ said(message['content']) }}</s>{% endgeneration %}"
    "{%- else -%}<user>{{ said(message['content']) }}{%- endif -%}"
    "{%- endfor -%}"
    "{%- if add_generation_prompt -%}<assistant>{%- endif -%}"
)


def train_base_tokenizer(texts: Iterable[str]) -> PreTrainedTokenizerFast:
    """Learn byte-level BPE from texts and from the words of the form; any text comes back as it was."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=VOCABULARY - len(TAGS),  # the tags are among the tokens
        special_tokens=[PAD, BOS, EOS, IMAGE, USER, ASSISTANT],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    tokenizer.train_from_iterator([*texts, *form_words() * 2000], trainer)
    tokenizer.add_tokens([AddedToken(tag, normalized=False) for tag in TAGS])
    return PreTrainedTokenizerFast(
        tokenizer_object=tokenizer,
        pad_token=PAD,
        bos_token=BOS,
        eos_token=EOS,
        padding_side="left",
        clean_up_tokenization_spaces=False,
        model_max_length=POSITIONS,
    )


def form_words() -> list[str]:
    """The question, and the words of a result other than its rationale."""
    keys = [f'{{"{name}": "", "{name}": "."}}' for name in Answer._fields]
    values = [f'"{value}", "" {value}' for value in (HARMFUL, BENIGN, *load_taxonomy().hazards)]
    return [PROMPT, *keys, *values]


def base_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """The base's processor: turns of a user and an assistant."""
    return reader_processor(tokenizer, TEMPLATE)
