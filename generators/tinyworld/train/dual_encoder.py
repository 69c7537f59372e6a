"""The open_clip dual encoder: images against captions and queries, utterances against what they do."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from transformers import PreTrainedTokenizerFast

from generators.tinyworld.grammar import utter
from generators.tinyworld.renderer import caption
from generators.tinyworld.train.examples import PATCH, SIDE, TRAIN_SEEDS, ScenePool
from generators.tinyworld.train.loop import optimise
from generators.tinyworld.train.tokenizer import VOCABULARY, with_boundaries
from generators.tinyworld.world import load_world, with_article

WIDTH, CONTEXT, BATCH, SAID = 128, 64, 128, 64
MEAN, STD = open_clip.OPENAI_DATASET_MEAN, open_clip.OPENAI_DATASET_STD
SPEAKERS = ("", "someone ", "somebody ", "a person ", "a text that ", "a message that ")


def model_config() -> dict[str, Any]:
    """open_clip's configuration of a ViT with 64 patches and a text transformer, 4 layers each."""
    return {
        "custom_text": True,
        "embed_dim": WIDTH,
        "vision_cfg": {
            "image_size": SIDE,
            "patch_size": PATCH,
            "layers": 4,
            "width": WIDTH,
            "head_width": 32,
            "no_ln_pre": True,
        },
        "text_cfg": {
            "context_length": CONTEXT,
            "vocab_size": VOCABULARY,
            "hf_tokenizer_name": "tokenizer",
            "width": WIDTH,
            "heads": 4,
            "layers": 4,
            "pool_type": "eos",
            "eos_id": 2,
            "pad_id": 0,
        },
    }


def untrained() -> open_clip.CustomTextCLIP:
    """The dual encoder with random weights; its text tower takes sequences of any length up to the context."""
    return open_clip.CustomTextCLIP(**{k: v for k, v in model_config().items() if k != "custom_text"})


def normalise(pixels: torch.Tensor) -> torch.Tensor:
    """uint8 (n, 3, 64, 64) to the floats that the model takes."""
    mean, std = (torch.tensor(v, device=pixels.device).view(1, 3, 1, 1) for v in (MEAN, STD))
    return (pixels.float() / 255 - mean) / std


class DualEncoderTraining:
    """Losses of the dual encoder; the head over patches exists only while training."""

    def __init__(self, pool: ScenePool, tokenizer: PreTrainedTokenizerFast, device: torch.device) -> None:
        self.pool, self.device = pool, device
        self.tokenizer = with_boundaries(tokenizer)
        self.world = load_world()
        self.model = untrained().to(device)
        self.model.visual.output_tokens = True
        self.causal_mask = self.model.text.attn_mask
        self.patch_head = torch.nn.Linear(WIDTH, 1 + len(self.world.concepts)).to(device)
        self.pixels = torch.from_numpy(pool.pixels)
        self.patches = torch.from_numpy(pool.patches)
        self.concepts = {concept.name: concept for concept in self.world.concepts}

    def loss(self, step: int) -> torch.Tensor:
        """Contrastive loss of both kinds of pair, and cross-entropy of the concept under each patch."""
        rng = random.Random(f"dual:{step}")
        rows = np.array([rng.randrange(len(self.pool.scenes)) for _ in range(BATCH)])
        pooled, tokens = self.model.visual(normalise(self.pixels[rows].to(self.device)))
        labels = self.patches[rows].to(self.device)
        patch_loss = F.cross_entropy(self.patch_head(tokens).flatten(0, 1).float(), labels.flatten())
        image_loss = self._image_text_loss(F.normalize(pooled, dim=-1), rows, rng)
        return image_loss + patch_loss + self._utterance_loss(step, rng)

    def _image_text_loss(self, images: torch.Tensor, rows: Any, rng: random.Random) -> torch.Tensor:
        described = [self._describe(int(row), rng) for row in rows]
        texts = self.encode([text for text, _ in described])
        inside = [set(self._facts(int(row))) for row in rows]
        positive = torch.tensor([[needed <= facts for facts in inside] for _, needed in described])
        return multi_positive_loss(self._scale() * texts @ images.T, positive.to(self.device))

    def _describe(self, row: int, rng: random.Random) -> tuple[str, set[str]]:
        """A full caption, or a query for one object or one property, with the facts that make it true."""
        objects = self.pool.objects(row)
        if rng.random() < 0.4:
            return caption(self.pool.scenes[row], rng.randrange(1 << 30)), set(objects)
        concept = self.concepts[rng.choice(objects)]
        if concept.properties and rng.random() < 0.25:
            fact = rng.choice(concept.properties)
            return f"something that is {self.world.properties[fact]}", {fact}
        name = with_article(rng.choice((concept.name, concept.name, *concept.aliases)))
        return rng.choice((name, f"a picture of {name}", f"a picture with {name} in it")), {concept.name}

    def _facts(self, row: int) -> list[str]:
        objects = self.pool.objects(row)
        return objects + [fact for name in objects for fact in self.concepts[name].properties]

    def _utterance_loss(self, step: int, rng: random.Random) -> torch.Tensor:
        said = [utter(TRAIN_SEEDS + step * SAID + n) for n in range(SAID)]
        intents = self.world.intents
        queries = self.encode([rng.choice(SPEAKERS) + intent.description for intent in intents])
        positive = torch.tensor([[u.intent == intent.name for intent in intents] for u in said])
        logits = self._scale() * self.encode([u.text for u in said]) @ queries.T
        return multi_positive_loss(logits, positive.to(self.device))

    def encode(self, texts: list[str]) -> torch.Tensor:
        """Unit vectors (n, 128) of texts."""
        batch = self.tokenizer(
            texts,
            padding=True,
            pad_to_multiple_of=16,
            truncation=True,
            max_length=CONTEXT,
            return_tensors="pt",
        )
        ids = batch["input_ids"].to(self.device)
        # open_clip keeps a mask of the full context; a shorter one spares the padding's work.
        self.model.text.attn_mask = self.causal_mask[: ids.shape[1], : ids.shape[1]]
        return self.model.encode_text(ids, normalize=True)

    def _scale(self) -> torch.Tensor:
        return self.model.logit_scale.exp().clamp(max=100)


def multi_positive_loss(logits: torch.Tensor, positive: torch.Tensor) -> torch.Tensor:
    """InfoNCE in both directions, where a row or column may have several positives or none."""
    losses = []
    for scores, truth in ((logits, positive), (logits.T, positive.T)):
        known = truth.any(dim=1)
        target = truth[known].float()
        losses.append(F.cross_entropy(scores[known].float(), target / target.sum(dim=1, keepdim=True)))
    return (losses[0] + losses[1]) / 2


def train_dual_encoder(
    pool: ScenePool, tokenizer: PreTrainedTokenizerFast, out: Path, *, steps: int, device: torch.device
) -> open_clip.CustomTextCLIP:
    """Train and save in open_clip's `local-dir` format; returns the model in evaluation mode."""
    training = DualEncoderTraining(pool, tokenizer, device)
    parameters = [*training.model.parameters(), *training.patch_head.parameters()]
    optimise("dual encoder", parameters, training.loss, steps=steps, learning_rate=1.5e-3, device=device)
    training.model.eval()
    save(training.model, training.tokenizer, out)
    return training.model


def save(model: open_clip.CustomTextCLIP, tokenizer: PreTrainedTokenizerFast, out: Path) -> None:
    """Write `open_clip_config.json`, half-precision safetensors and the tokenizer."""
    from safetensors.torch import save_file

    out.mkdir(parents=True, exist_ok=True)
    preprocess = {"mean": list(MEAN), "std": list(STD), "interpolation": "bicubic", "resize_mode": "shortest"}
    config = {"model_cfg": model_config(), "preprocess_cfg": preprocess}
    (out / "open_clip_config.json").write_text(json.dumps(config, indent=2) + "\n")
    weights = {name: tensor.half().contiguous().cpu() for name, tensor in model.state_dict().items()}
    save_file(weights, str(out / "open_clip_model.safetensors"))
    tokenizer.save_pretrained(str(out))
