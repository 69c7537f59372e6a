"""The judge: a small reader of images and texts, taught by lessons."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

import open_clip
import torch
from transformers import LlavaProcessor, PreTrainedTokenizerFast

from generators.tinyworld.train.examples import ScenePool
from generators.tinyworld.train.lessons import Lesson, Lessons
from generators.tinyworld.train.loop import optimise
from generators.tinyworld.train.reader import IMAGE_TOKENS, ReaderTraining, reader_processor
from generators.tinyworld.train.tokenizer import IMAGE

JOINT_BATCH, OTHER_BATCH = 96, 36
TEMPLATE = (
    "<s>{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %} Answer:{% endif %}"
)


def judge_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """The judge's processor: a question, and `Answer:`."""
    return reader_processor(tokenizer, TEMPLATE)


class JudgeTraining(ReaderTraining):
    """Losses of the judge."""

    def __init__(
        self,
        pool: ScenePool,
        harmful: ScenePool,
        tokenizer: PreTrainedTokenizerFast,
        encoder: open_clip.CustomTextCLIP,
        device: torch.device,
    ) -> None:
        super().__init__(tokenizer, encoder, device, width=16)
        self.lessons = Lessons(pool, harmful)
        self.seen = {False: self.see(pool), True: self.see(harmful)}

    def prompt_of(self, lesson: Any) -> str:
        """See `prompt_of`."""
        return prompt_of(lesson)

    def features_of(self, lesson: Any) -> torch.Tensor:
        """From the pool of the lesson."""
        return self.seen[lesson.plainly_harmful_pool][lesson.row]

    def loss(self, step: int) -> torch.Tensor:
        """The yes-or-no loss on pairs, and the language loss on everything else."""
        rng = random.Random(f"judge:{step}")
        joint = [self.lessons.joint(rng) for _ in range(JOINT_BATCH)]
        third = OTHER_BATCH // 3
        draws = (self.lessons.alone, self.lessons.rationale, self.lessons.describe)
        others = [draw(rng) for draw in draws for _ in range(third)]
        return self.answer_loss(joint) + 0.5 * self.answer_loss(others)


def prompt_of(lesson: Lesson) -> str:
    """The prompt as the processor's chat template writes it, with the image's place holders expanded."""
    image = IMAGE * IMAGE_TOKENS if lesson.row >= 0 else ""
    return f"<s>{image}{lesson.question} Answer:"


def train_judge(
    pool: ScenePool,
    harmful: ScenePool,
    tokenizer: PreTrainedTokenizerFast,
    encoder: open_clip.CustomTextCLIP,
    out: Path,
    *,
    steps: int,
    device: torch.device,
) -> None:
    """Train and save model and processor as `AutoModelForImageTextToText` and `AutoProcessor` load them."""
    training = JudgeTraining(pool, harmful, tokenizer, encoder, device)
    optimise(
        "judge", training.model.parameters(), training.loss, steps=steps, learning_rate=1.5e-3, device=device
    )
    training.model.half().save_pretrained(str(out))
    judge_processor(tokenizer).save_pretrained(str(out))
