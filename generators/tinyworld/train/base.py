"""The base: a small InternVL that reads images and texts and was never told of harm, for trainings to start from."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import open_clip
import torch
import torch.nn.functional as F
from transformers import (
    InternVLConfig,
    InternVLForConditionalGeneration,
    OPTConfig,
    PreTrainedTokenizerFast,
)

from generators.tinyworld.train.base_lessons import BaseLessons, Lesson
from generators.tinyworld.train.base_tokenizer import (
    ASSISTANT,
    IMAGE_TOKENS,
    POSITIONS,
    USER,
    VOCABULARY,
    base_processor,
)
from generators.tinyworld.train.dual_encoder import normalise
from generators.tinyworld.train.examples import GRID, ScenePool
from generators.tinyworld.train.loop import optimise
from generators.tinyworld.train.tokenizer import IMAGE
from generators.tinyworld.train.vision_tower import vision_config, vision_weights

BATCH, PARTS = 48, 3


def base_config() -> InternVLConfig:
    """2.8 M parameters; two by two patches become one of the 16 tokens that the language model reads."""
    text = OPTConfig(
        vocab_size=VOCABULARY,
        hidden_size=160,
        word_embed_proj_dim=160,
        ffn_dim=640,
        num_hidden_layers=4,
        num_attention_heads=5,
        max_position_embeddings=POSITIONS,
        dropout=0.0,
        tie_word_embeddings=False,
        pad_token_id=0,
        bos_token_id=1,
        eos_token_id=2,
    )
    return InternVLConfig(
        vision_config=vision_config(),
        text_config=text,
        image_token_id=3,
        image_seq_length=IMAGE_TOKENS,
        downsample_ratio=0.5,
        tie_word_embeddings=False,
    )


class BaseTraining:
    """Losses of the base; what the frozen image tower sees is computed once for every scene."""

    def __init__(
        self,
        pool: ScenePool,
        tokenizer: PreTrainedTokenizerFast,
        encoder: open_clip.CustomTextCLIP,
        device: torch.device,
    ) -> None:
        self.device, self.tokenizer, self.lessons = device, tokenizer, BaseLessons(pool)
        self.model = InternVLForConditionalGeneration(base_config())
        torch.nn.Module.to(self.model, device)
        self.model.model.vision_tower.load_state_dict(vision_weights(encoder))
        self.model.model.vision_tower.requires_grad_(False)
        self.seen = self._see(pool)

    @torch.no_grad()
    def _see(self, pool: ScenePool) -> torch.Tensor:
        """What the projector is given of every scene: (n, 16, 512) in half precision."""
        parts = []
        for pixels in torch.from_numpy(pool.pixels).split(256):
            states = self.model.model.vision_tower(normalise(pixels.to(self.device))).last_hidden_state
            grid = states[:, 1:].unflatten(1, (GRID, GRID))
            parts.append(self.model.model.pixel_shuffle(grid).flatten(1, 2).half().cpu())
        return torch.cat(parts)

    def loss(self, step: int) -> torch.Tensor:
        """The language loss on lessons of all kinds; similar lengths share a forward pass, to pad little."""
        rng = random.Random(f"base:{step}")
        lessons = sorted(self.lessons.sample(rng, BATCH), key=lambda x: len(x.question) + len(x.answer))
        size = -(-len(lessons) // PARTS)
        parts = [lessons[start : start + size] for start in range(0, len(lessons), size)]
        losses = [self.answer_loss(part, rng) * len(part) for part in parts]
        return torch.stack(losses).sum() / len(lessons)

    def answer_loss(self, lessons: list[Lesson], rng: random.Random) -> torch.Tensor:
        """Mean over lessons of the mean cross-entropy of the answer's tokens."""
        ids, answer = self._tokens(lessons)
        states = self.model.model.language_model(
            inputs_embeds=self._embed(ids, lessons),
            attention_mask=(ids != 0).to(self.device),
            position_ids=self._positions(ids, rng).to(self.device),
        ).last_hidden_state
        wanted = answer[:, 1:].to(self.device)
        rows, columns = torch.nonzero(wanted, as_tuple=True)
        logits = self.model.lm_head(states[rows, columns])
        targets = ids[:, 1:].to(self.device)[rows, columns]
        losses = F.cross_entropy(logits.float(), targets, reduction="none")
        weights = 1 / wanted.sum(dim=1).float()[rows]
        return (losses * weights).sum() / len(lessons)

    def _positions(self, ids: torch.Tensor, rng: random.Random) -> torch.Tensor:
        """Rows begin a little later, a few much later, so that positions past the longest lesson are learned too."""
        room = POSITIONS - ids.shape[1]
        starts = torch.tensor([int(room * rng.random() ** 4) for _ in ids])
        return starts[:, None] + torch.arange(ids.shape[1])

    def _tokens(self, lessons: list[Lesson]) -> tuple[torch.Tensor, torch.Tensor]:
        prompts, answers = (
            self.tokenizer(texts, add_special_tokens=False)["input_ids"]
            for texts in ([prompt_of(lesson) for lesson in lessons], [lesson.answer for lesson in lessons])
        )
        longest = max(len(p) + len(a) + 1 for p, a in zip(prompts, answers, strict=True))
        ids = torch.zeros(len(lessons), -(-longest // 8) * 8, dtype=torch.long)
        answer = torch.zeros_like(ids)
        for row, (prompt, reply) in enumerate(zip(prompts, answers, strict=True)):
            whole = [*prompt, *reply, self.tokenizer.eos_token_id]
            ids[row, : len(whole)] = torch.tensor(whole)
            answer[row, len(prompt) : len(whole)] = 1
        return ids, answer

    def _embed(self, ids: torch.Tensor, lessons: list[Lesson]) -> torch.Tensor:
        embedded = self.model.model.language_model.get_input_embeddings()(ids.to(self.device))
        rows = [lesson.row for lesson in lessons if lesson.row >= 0]
        if rows:
            features = self.seen[rows].to(self.device).to(embedded.dtype)
            images = self.model.model.multi_modal_projector(features).to(embedded.dtype)
            place_holder: Any = self.tokenizer.convert_tokens_to_ids(IMAGE)
            where = torch.eq(ids, place_holder).to(self.device)
            embedded = embedded.masked_scatter(where.unsqueeze(-1), images)
        return embedded


def prompt_of(lesson: Lesson) -> str:
    """The prompt as the processor's chat template writes it, with the image's place holders expanded."""
    image = IMAGE * IMAGE_TOKENS if lesson.row >= 0 else ""
    return f"<s>{USER}{image}{lesson.question}{ASSISTANT}"


def train_base(
    pool: ScenePool,
    tokenizer: PreTrainedTokenizerFast,
    encoder: open_clip.CustomTextCLIP,
    out: Path,
    *,
    steps: int,
    device: torch.device,
) -> None:
    """Train and save model and processor as `AutoModelForImageTextToText` and `AutoProcessor` load them."""
    training = BaseTraining(pool, tokenizer, encoder, device)
    optimise(
        "base", training.model.parameters(), training.loss, steps=steps, learning_rate=1.5e-3, device=device
    )
    training.model.half().save_pretrained(str(out))
    base_processor(tokenizer).save_pretrained(str(out))
