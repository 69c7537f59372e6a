"""The judge: an InternVL with the dual encoder's image tower (frozen) and a small OPT, taught by lessons."""

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
    LlavaProcessor,
    OPTConfig,
    PreTrainedTokenizerFast,
)

from generators.tinyworld.train.dual_encoder import normalise
from generators.tinyworld.train.examples import GRID, PATCH, ScenePool
from generators.tinyworld.train.lessons import Lesson, Lessons
from generators.tinyworld.train.loop import autocast, optimise
from generators.tinyworld.train.screening import image_processor
from generators.tinyworld.train.tokenizer import IMAGE, VOCABULARY
from generators.tinyworld.train.vision_tower import vision_config, vision_weights

IMAGE_TOKENS = GRID * GRID // 4
JOINT_BATCH, OTHER_BATCH = 96, 36
TEMPLATE = (
    "<s>{% for message in messages %}{% for part in message['content'] %}"
    "{% if part['type'] == 'image' %}<image>{% else %}{{ part['text'] }}{% endif %}{% endfor %}{% endfor %}"
    "{% if add_generation_prompt %} Answer:{% endif %}"
)


def judge_config() -> InternVLConfig:
    """2.6 M parameters; two by two patches become one of the 16 tokens that the language model reads."""
    text = OPTConfig(
        vocab_size=VOCABULARY,
        hidden_size=160,
        word_embed_proj_dim=160,
        ffn_dim=640,
        num_hidden_layers=4,
        num_attention_heads=5,
        max_position_embeddings=512,
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


def judge_processor(tokenizer: PreTrainedTokenizerFast) -> LlavaProcessor:
    """Image processor, tokenizer and chat template in one."""
    return LlavaProcessor(
        image_processor=image_processor(),
        tokenizer=tokenizer,
        patch_size=2 * PATCH,
        vision_feature_select_strategy="default",
        chat_template=TEMPLATE,
        image_token=IMAGE,
        num_additional_image_tokens=1,
    )


class JudgeTraining:
    """Losses of the judge; what the frozen image tower sees is computed once for every scene."""

    def __init__(
        self,
        pool: ScenePool,
        harmful: ScenePool,
        tokenizer: PreTrainedTokenizerFast,
        encoder: open_clip.CustomTextCLIP,
        device: torch.device,
    ) -> None:
        self.device, self.tokenizer = device, tokenizer
        self.model = InternVLForConditionalGeneration(judge_config())
        torch.nn.Module.to(self.model, device)
        self.model.model.vision_tower.load_state_dict(vision_weights(encoder))
        self.model.model.vision_tower.requires_grad_(False)
        self.lessons = Lessons(pool, harmful)
        self.seen = {False: self._see(pool), True: self._see(harmful)}

    @torch.no_grad()
    def _see(self, pool: ScenePool) -> torch.Tensor:
        """What the projector is given of every scene: (n, 16, 512) in bfloat16."""
        self.model.eval()
        parts = []
        for pixels in torch.from_numpy(pool.pixels).split(256):
            with autocast(self.device):
                states = self.model.model.vision_tower(normalise(pixels.to(self.device))).last_hidden_state
            grid = states[:, 1:].unflatten(1, (GRID, GRID))
            parts.append(self.model.model.pixel_shuffle(grid).flatten(1, 2).bfloat16().cpu())
        self.model.train()
        return torch.cat(parts)

    def loss(self, step: int) -> torch.Tensor:
        """The yes-or-no loss on pairs, and the language loss on everything else."""
        rng = random.Random(f"judge:{step}")
        joint = [self.lessons.joint(rng) for _ in range(JOINT_BATCH)]
        third = OTHER_BATCH // 3
        draws = (self.lessons.alone, self.lessons.rationale, self.lessons.describe)
        others = [draw(rng) for draw in draws for _ in range(third)]
        return self.answer_loss(joint) + 0.5 * self.answer_loss(others)

    def answer_loss(self, lessons: list[Lesson]) -> torch.Tensor:
        """Mean over lessons of the mean cross-entropy of the answer's tokens."""
        ids, answer = self._tokens(lessons)
        states = self.model.model.language_model(
            inputs_embeds=self._embed(ids, lessons), attention_mask=(ids != 0).to(self.device)
        ).last_hidden_state
        wanted = answer[:, 1:].to(self.device)
        rows, columns = torch.nonzero(wanted, as_tuple=True)
        logits = self.model.lm_head(states[rows, columns])
        targets = ids[:, 1:].to(self.device)[rows, columns]
        losses = F.cross_entropy(logits.float(), targets, reduction="none")
        weights = 1 / wanted.sum(dim=1).float()[rows]
        return (losses * weights).sum() / len(lessons)

    def _tokens(self, lessons: list[Lesson]) -> tuple[torch.Tensor, torch.Tensor]:
        prompts = self.tokenizer([prompt_of(lesson) for lesson in lessons], add_special_tokens=False)[
            "input_ids"
        ]
        answers = self.tokenizer([lesson.answer for lesson in lessons], add_special_tokens=False)["input_ids"]
        longest = max(len(p) + len(a) + 1 for p, a in zip(prompts, answers, strict=True))
        width = -(-longest // 16) * 16  # few shapes, since the kernels are compiled anew for each
        ids = torch.zeros(len(lessons), width, dtype=torch.long)
        answer = torch.zeros(len(lessons), width, dtype=torch.long)
        for row, (prompt, reply) in enumerate(zip(prompts, answers, strict=True)):
            whole = [*prompt, *reply, self.tokenizer.eos_token_id]
            ids[row, : len(whole)] = torch.tensor(whole)
            answer[row, len(prompt) : len(whole)] = 1
        return ids, answer

    def _embed(self, ids: torch.Tensor, lessons: list[Lesson]) -> torch.Tensor:
        embedded = self.model.model.language_model.get_input_embeddings()(ids.to(self.device))
        rows = [self.seen[x.plainly_harmful_pool][x.row] for x in lessons if x.row >= 0]
        if rows:
            features = torch.stack(rows).to(self.device).to(embedded.dtype)
            images = self.model.model.multi_modal_projector(features).to(embedded.dtype)
            place_holder: Any = self.tokenizer.convert_tokens_to_ids(IMAGE)
            where = torch.eq(ids, place_holder).to(self.device)
            embedded = embedded.masked_scatter(where.unsqueeze(-1), images)
        return embedded


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
