"""Tiny checkpoints with random weights, in the formats that real models have, and a workspace with images."""

import io
import random
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from PIL import Image, ImageDraw
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    InternVLForConditionalGeneration,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTForImageClassification,
)

from generators.tinyworld.grammar import utter
from generators.tinyworld.train import dual_encoder
from generators.tinyworld.train.judge import judge_processor
from generators.tinyworld.train.reader import reader_config
from generators.tinyworld.train.screening import LABELS, image_processor
from generators.tinyworld.train.tokenizer import VOCABULARY, train_tokenizer, with_boundaries
from pipelines.storage.workspace import Workspace
from schemas.questions import JOINT

SIZE = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
NAMES = {"id2label": LABELS, "label2id": {v: k for k, v in LABELS.items()}}


@pytest.fixture(scope="session")
def tokenizer() -> PreTrainedTokenizerFast:
    return train_tokenizer([*(utter(seed).text for seed in range(300)), JOINT, " Answer:"])


@pytest.fixture(scope="session")
def clip_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    torch.manual_seed(0)
    folder = tmp_path_factory.mktemp("clip")
    dual_encoder.save(dual_encoder.untrained(), with_boundaries(tokenizer), folder)
    return folder


@pytest.fixture(scope="session")
def image_classifier_folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    torch.manual_seed(1)
    folder = tmp_path_factory.mktemp("screen-image")
    model = ViTForImageClassification(ViTConfig(image_size=64, patch_size=8, **SIZE, **NAMES))
    model.classifier.weight.data *= 40
    model.save_pretrained(folder)
    image_processor().save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def text_classifier_folder(
    tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast
) -> Path:
    torch.manual_seed(2)
    folder = tmp_path_factory.mktemp("screen-text")
    config = BertConfig(vocab_size=VOCABULARY, max_position_embeddings=72, pad_token_id=0, **SIZE, **NAMES)
    model = BertForSequenceClassification(config)
    model.classifier.weight.data *= 40
    model.save_pretrained(folder)
    with_boundaries(tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def judge_folder(tmp_path_factory: pytest.TempPathFactory, tokenizer: PreTrainedTokenizerFast) -> Path:
    torch.manual_seed(3)
    folder = tmp_path_factory.mktemp("judge")
    model = InternVLForConditionalGeneration(reader_config())
    model.lm_head.weight.data *= 10
    model.save_pretrained(folder)
    judge_processor(tokenizer).save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def workspace(tmp_path_factory: pytest.TempPathFactory) -> Workspace:
    return Workspace(str(tmp_path_factory.mktemp("work")))


@pytest.fixture(scope="session")
def images(workspace: Workspace) -> list[str]:
    """Ids of eleven stored pictures of several sizes and modes."""
    return [workspace.blobs().put(_picture(number)) for number in range(11)]


@pytest.fixture(scope="session")
def texts() -> list[str]:
    """Eleven texts, among them a short one, a long one and one of other scripts."""
    return ["Hm.", "Зачем? \N{DUCK} 何", "well " * 300, *(utter(9000 + n).text for n in range(8))]


@pytest.fixture
def shuffled() -> Callable[[int], list[int]]:
    """An order of so many things, other than the usual one."""
    return lambda count: random.Random(1).sample(range(count), count)


def _picture(number: int) -> bytes:
    size = ((256, 256), (300, 180), (64, 64))[number % 3]
    picture = Image.new("RGB", size, (number * 20, 120, 255 - number * 20))
    ImageDraw.Draw(picture).ellipse((5, 5, 40 + 2 * number, 60), fill=(250, number * 9, 10))
    out = io.BytesIO()
    picture.convert("L" if number == 4 else "RGB").save(out, "JPEG")
    return out.getvalue()
