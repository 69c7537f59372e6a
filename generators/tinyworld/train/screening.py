"""The two screening classifiers: a small ViT for plainly harmful scenes, a small BERT for such texts."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import (
    BertConfig,
    BertForSequenceClassification,
    CLIPImageProcessor,
    PreTrainedTokenizerFast,
    ViTConfig,
    ViTForImageClassification,
)

from generators.tinyworld.grammar import utter
from generators.tinyworld.train.dual_encoder import MEAN, STD, normalise
from generators.tinyworld.train.examples import PATCH, SIDE, TRAIN_SEEDS, ScenePool
from generators.tinyworld.train.loop import optimise
from generators.tinyworld.train.tokenizer import VOCABULARY, with_boundaries

LABELS = {0: "benign", 1: "harmful"}
BATCH = 128


def image_processor() -> CLIPImageProcessor:
    """Resizes the shorter side to 64 pixels, crops the middle and normalises, as for the dual encoder."""
    return CLIPImageProcessor(
        size={"shortest_edge": SIDE},
        crop_size={"height": SIDE, "width": SIDE},
        image_mean=list(MEAN),
        image_std=list(STD),
    )


def train_image_screener(
    pool: ScenePool, harmful: ScenePool, out: Path, *, steps: int, device: torch.device
) -> None:
    """Train on benign and plainly harmful scenes in equal parts, and save."""
    config = ViTConfig(
        image_size=SIDE,
        patch_size=PATCH,
        hidden_size=96,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=256,
        id2label=LABELS,
        label2id={v: k for k, v in LABELS.items()},
    )
    model = ViTForImageClassification(config)
    torch.nn.Module.to(model, device)
    sides = [torch.from_numpy(pool.pixels), torch.from_numpy(harmful.pixels)]

    def loss(step: int) -> torch.Tensor:
        rng = np.random.default_rng(step)
        rows = [side[rng.integers(len(side), size=BATCH // 2)] for side in sides]
        labels = torch.arange(2).repeat_interleave(BATCH // 2).to(device)
        logits = model(pixel_values=normalise(torch.cat(rows).to(device))).logits
        return F.cross_entropy(logits.float(), labels)

    optimise("image screener", model.parameters(), loss, steps=steps, learning_rate=1e-3, device=device)
    model.half().save_pretrained(str(out))
    image_processor().save_pretrained(str(out))


def train_text_screener(
    tokenizer: PreTrainedTokenizerFast, out: Path, *, steps: int, device: torch.device
) -> None:
    """Train on benign and plainly harmful utterances in equal parts, and save."""
    bounded = with_boundaries(tokenizer)
    config = BertConfig(
        vocab_size=VOCABULARY,
        hidden_size=96,
        num_hidden_layers=3,
        num_attention_heads=3,
        intermediate_size=256,
        max_position_embeddings=128,
        pad_token_id=0,
        id2label=LABELS,
        label2id={v: k for k, v in LABELS.items()},
    )
    model = BertForSequenceClassification(config)
    torch.nn.Module.to(model, device)

    def loss(step: int) -> torch.Tensor:
        rng = random.Random(f"screen:{step}")
        seeds = [TRAIN_SEEDS + rng.randrange(1 << 30) for _ in range(BATCH)]
        texts = [utter(seed, plainly_harmful=n >= BATCH // 2).text for n, seed in enumerate(seeds)]
        batch = bounded(texts, padding=True, truncation=True, max_length=64, return_tensors="pt").to(device)
        batch.pop("token_type_ids", None)
        labels = torch.arange(2).repeat_interleave(BATCH // 2).to(device)
        return F.cross_entropy(model(**batch).logits.float(), labels)

    optimise("text screener", model.parameters(), loss, steps=steps, learning_rate=1e-3, device=device)
    model.half().save_pretrained(str(out))
    bounded.save_pretrained(str(out))
