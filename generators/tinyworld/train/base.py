"""The base: a small reader of images and texts that was never told of harm, for trainings to start from."""

from __future__ import annotations

import random
from functools import partial
from pathlib import Path
from typing import Any

import open_clip
import torch
from transformers import PreTrainedTokenizerFast

from generators.tinyworld.train.base_lessons import BaseLessons, Lesson
from generators.tinyworld.train.base_tokenizer import ASSISTANT, USER, base_processor, train_base_tokenizer
from generators.tinyworld.train.examples import ScenePool
from generators.tinyworld.train.loop import optimise
from generators.tinyworld.train.reader import IMAGE_TOKENS, POSITIONS, SMALL, ReaderTraining, Shape
from generators.tinyworld.train.tokenizer import IMAGE

BATCH, PARTS = 48, 3


class BaseTraining(ReaderTraining):
    """Losses of the base."""

    def __init__(
        self,
        pool: ScenePool,
        tokenizer: PreTrainedTokenizerFast,
        encoder: open_clip.CustomTextCLIP,
        device: torch.device,
        shape: Shape = SMALL,
    ) -> None:
        super().__init__(tokenizer, encoder, device, width=8, shape=shape)
        self.lessons = BaseLessons(pool)
        self.seen = self.see(pool)

    def prompt_of(self, lesson: Any) -> str:
        """See `prompt_of`."""
        return prompt_of(lesson)

    def features_of(self, lesson: Any) -> torch.Tensor:
        """From the pool."""
        return self.seen[lesson.row]

    def loss(self, step: int) -> torch.Tensor:
        """The language loss on lessons of all kinds; similar lengths share a forward pass, to pad little."""
        rng = random.Random(f"base:{step}")
        lessons = sorted(self.lessons.sample(rng, BATCH), key=lambda x: len(x.question) + len(x.answer))
        size = -(-len(lessons) // PARTS)
        parts = [lessons[start : start + size] for start in range(0, len(lessons), size)]
        positions = partial(self._positions, rng=rng)
        losses = [self.answer_loss(part, positions) * len(part) for part in parts]
        return torch.stack(losses).sum() / len(lessons)

    def _positions(self, ids: torch.Tensor, rng: random.Random) -> torch.Tensor:
        """Rows begin a little later, a few much later, so that positions past the longest lesson are learned too."""
        room = POSITIONS - ids.shape[1]
        starts = torch.tensor([int(room * rng.random() ** 4) for _ in ids])
        return starts[:, None] + torch.arange(ids.shape[1])


def prompt_of(lesson: Lesson) -> str:
    """The prompt as the processor's chat template writes it, with the image's place holders expanded."""
    image = IMAGE * IMAGE_TOKENS if lesson.row >= 0 else ""
    return f"<s>{USER}{image}{lesson.question}{ASSISTANT}"


def train_base(
    pool: ScenePool,
    encoder: open_clip.CustomTextCLIP,
    out: Path,
    *,
    steps: int,
    device: torch.device,
    shape: Shape = SMALL,
) -> None:
    """Train and save model and processor as `AutoModelForImageTextToText` and `AutoProcessor` load them.

    A wider model takes smaller steps.
    """
    tokenizer = train_base_tokenizer(_lesson_texts(pool))
    training = BaseTraining(pool, tokenizer, encoder, device, shape)
    rate = 1.5e-3 * SMALL.width / shape.width
    optimise(
        "base", training.model.parameters(), training.loss, steps=steps, learning_rate=rate, device=device
    )
    training.model.half().save_pretrained(str(out))
    base_processor(tokenizer).save_pretrained(str(out))


def _lesson_texts(pool: ScenePool) -> list[str]:
    """What the base reads and writes."""
    lessons = BaseLessons(pool).sample(random.Random("tokenizer"), 20_000)
    return [text for lesson in lessons for text in (lesson.question, lesson.answer)]
