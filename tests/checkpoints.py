"""Tiny checkpoints with random weights (or a few seconds of training), in the formats that real models have."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    Qwen2_5_VLConfig,
    Qwen2_5_VLForConditionalGeneration,
    Qwen2_5_VLProcessor,
    Qwen2VLImageProcessor,
    Qwen2VLVideoProcessor,
    ViTConfig,
    ViTForImageClassification,
    ViTImageProcessor,
)

SIZE: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 64,
}
LABELS = {0: "normal", 1: "nsfw"}
NAMES = {"id2label": LABELS, "label2id": {name: id for id, name in LABELS.items()}}
QWEN_TEMPLATE = (
    "{% for message in messages %}<|im_start|>{{ message['role'] }}\n{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<|vision_start|><|image_pad|><|vision_end|>"
    "{% else %}{{ part['text'] }}{% endif %}{% endfor %}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)


def byte_tokenizer(special: list[str], corpus: Iterable[str] = (), **options: str) -> PreTrainedTokenizerFast:
    """A byte-level BPE that has learned the words of a corpus; without one, every byte is a token."""
    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    inner.train_from_iterator(corpus, trainers.BpeTrainer(special_tokens=special, initial_alphabet=alphabet))
    return PreTrainedTokenizerFast(tokenizer_object=inner, **options)


def qwen_vl(folder: Path) -> Path:
    """A Qwen2.5-VL with its processor and chat template."""
    torch.manual_seed(0)
    names = [
        "<|endoftext|>",
        "<|im_start|>",
        "<|im_end|>",
        "<|vision_start|>",
        "<|vision_end|>",
        "<|image_pad|>",
        "<|video_pad|>",
    ]
    tokenizer = byte_tokenizer(names, eos_token="<|im_end|>", pad_token="<|endoftext|>")
    tokenizer.image_token, tokenizer.video_token = "<|image_pad|>", "<|video_pad|>"
    ids = dict(zip(names, tokenizer.convert_tokens_to_ids(names), strict=True))
    text = SIZE | {
        "vocab_size": len(tokenizer),
        "num_key_value_heads": 2,
        "max_position_embeddings": 4096,
        "rope_parameters": {"rope_type": "default", "rope_theta": 10000.0, "mrope_section": [2, 3, 3]},
    }
    vision = {"depth": 2, "hidden_size": 32, "num_heads": 2, "intermediate_size": 64, "out_hidden_size": 32}
    config = Qwen2_5_VLConfig(
        text_config=text,
        vision_config=vision | {"fullatt_block_indexes": [1], "window_size": 56},
        image_token_id=ids["<|image_pad|>"],
        video_token_id=ids["<|video_pad|>"],
        vision_start_token_id=ids["<|vision_start|>"],
        vision_end_token_id=ids["<|vision_end|>"],
    )
    model = Qwen2_5_VLForConditionalGeneration(config)
    model.lm_head.weight.data *= 30
    model.save_pretrained(folder)
    Qwen2_5_VLProcessor(
        image_processor=Qwen2VLImageProcessor(min_pixels=28 * 28, max_pixels=56 * 56),
        tokenizer=tokenizer,
        video_processor=Qwen2VLVideoProcessor(),
        chat_template=QWEN_TEMPLATE,
    ).save_pretrained(folder)
    return folder


def vit_classifier(folder: Path) -> Path:
    """A ViT that tells `normal` from `nsfw`."""
    torch.manual_seed(1)
    model = ViTForImageClassification(ViTConfig(image_size=32, patch_size=8, **SIZE, **NAMES))
    model.save_pretrained(folder)
    ViTImageProcessor(size={"height": 32, "width": 32}).save_pretrained(folder)
    return folder


def bert_classifier(folder: Path) -> Path:
    """A BERT that tells `normal` from `nsfw`."""
    torch.manual_seed(2)
    tokenizer = byte_tokenizer(["[PAD]", "[CLS]", "[SEP]"], pad_token="[PAD]")
    config = BertConfig(
        vocab_size=len(tokenizer), max_position_embeddings=128, pad_token_id=0, **SIZE, **NAMES
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


ANSWER = '{"text": "%s"}'
SAYINGS = (
    "Have a bite, it is fresh",
    "Come closer and touch it",
    "Leave it there, all is well",
    "Everybody should get a copy",
    "What a lovely day for this",
    "You will feel better soon",
    "Somebody lives here, go and say hello",
    "This is where our kind of people eat",
)
CHAT_TEMPLATE = "<|user|>{{ messages[-1]['content'][:0] }}<|assistant|>"
"""Shows the model nothing of the conversation, so that it can learn its answers in seconds."""


def chat_model(folder: Path, steps: int = 300) -> Path:
    """A Llama that has learned to answer with one of a few sayings as JSON, now and then with a slip."""
    torch.manual_seed(3)
    tokenizer = byte_tokenizer(
        ["<|end|>", "<|user|>", "<|assistant|>"], eos_token="<|end|>", pad_token="<|end|>"
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    size = SIZE | {"hidden_size": 64, "intermediate_size": 128}
    model = LlamaForCausalLM(
        LlamaConfig(vocab_size=len(tokenizer), max_position_embeddings=1024, eos_token_id=0, **size)
    )
    rows = [tokenizer(f"<|user|><|assistant|>{ANSWER % saying}<|end|>")["input_ids"] for saying in SAYINGS]
    width = max(map(len, rows))
    ids = torch.tensor([row + [0] * (width - len(row)) for row in rows])
    labels = torch.tensor([row + [-100] * (width - len(row)) for row in rows])
    optimiser = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(steps):
        model(input_ids=ids, labels=labels).loss.backward()
        optimiser.step()
        optimiser.zero_grad()
    model.eval().save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
