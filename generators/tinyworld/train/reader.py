"""What judge and base are both: an InternVL with the dual encoder's image tower (frozen) and a small OPT."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple, Protocol

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
from generators.tinyworld.train.loop import autocast
from generators.tinyworld.train.screening import image_processor
from generators.tinyworld.train.tokenizer import IMAGE, VOCABULARY
from generators.tinyworld.train.vision_tower import vision_config, vision_weights

IMAGE_TOKENS = GRID * GRID // 4
POSITIONS = 512


class Lesson(Protocol):
    """One thing to learn: an answer to a question about an image, if its row is not negative."""

    @property
    def row(self) -> int:
        """The image's row in a pool, or -1."""
        ...

    @property
    def question(self) -> str:
        """What is asked."""
        ...

    @property
    def answer(self) -> str:
        """What is to be learned."""
        ...


class Shape(NamedTuple):
    """Of the language model."""

    width: int
    layers: int
    heads: int


SMALL = Shape(width=160, layers=4, heads=5)
"""2.9 million parameters with the image tower."""
LARGE = Shape(width=576, layers=6, heads=9)
"""Ten times as many, for a GPU."""


def reader_config(shape: Shape = SMALL) -> InternVLConfig:
    """Two by two patches become one of the 16 tokens that the language model reads."""
    text = OPTConfig(
        vocab_size=VOCABULARY,
        hidden_size=shape.width,
        word_embed_proj_dim=shape.width,
        ffn_dim=4 * shape.width,
        num_hidden_layers=shape.layers,
        num_attention_heads=shape.heads,
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


def reader_processor(tokenizer: PreTrainedTokenizerFast, template: str) -> LlavaProcessor:
    """Image processor, tokenizer and chat template in one."""
    return LlavaProcessor(
        image_processor=image_processor(),
        tokenizer=tokenizer,
        patch_size=2 * PATCH,
        vision_feature_select_strategy="default",
        chat_template=template,
        image_token=IMAGE,
        num_additional_image_tokens=1,
    )


class ReaderTraining(ABC):
    """The language loss of lessons; what the frozen image tower sees is computed once for every scene.

    Args:
        tokenizer: The model's.
        encoder: Whose image tower it sees with.
        device: Where it is trained.
        width: Sequences are padded to a multiple of this many tokens, so that there are few shapes.
        shape: Of its language model.
    """

    def __init__(
        self,
        tokenizer: PreTrainedTokenizerFast,
        encoder: open_clip.CustomTextCLIP,
        device: torch.device,
        width: int,
        shape: Shape = SMALL,
    ) -> None:
        self.tokenizer, self.device, self._width = tokenizer, device, width
        self.model = InternVLForConditionalGeneration(reader_config(shape))
        torch.nn.Module.to(self.model, device)
        self.model.model.vision_tower.load_state_dict(vision_weights(encoder))
        self.model.model.vision_tower.requires_grad_(False)

    @abstractmethod
    def prompt_of(self, lesson: Any) -> str:
        """The prompt as the processor's chat template writes it, with the image's place holders expanded."""

    @abstractmethod
    def features_of(self, lesson: Any) -> torch.Tensor:
        """What the projector is given of a lesson's image, (16, 512)."""

    @torch.no_grad()
    def see(self, pool: ScenePool) -> torch.Tensor:
        """What the projector is given of every scene: (n, 16, 512) in half precision."""
        self.model.eval()
        parts = []
        for pixels in torch.from_numpy(pool.pixels).split(256):
            with autocast(self.device):
                states = self.model.model.vision_tower(normalise(pixels.to(self.device))).last_hidden_state
            grid = states[:, 1:].unflatten(1, (GRID, GRID))
            parts.append(self.model.model.pixel_shuffle(grid).flatten(1, 2).half().cpu())
        self.model.train()
        return torch.cat(parts)

    def answer_loss(
        self, lessons: Sequence[Lesson], positions: Callable[[torch.Tensor], torch.Tensor] | None = None
    ) -> torch.Tensor:
        """Mean over lessons of the mean cross-entropy of the answer's tokens.

        Args:
            lessons: What to learn.
            positions: Makes the positions of token ids (n, width); they count from 0 if not given.
        """
        ids, answer = self._tokens(lessons)
        places = {"position_ids": positions(ids).to(self.device)} if positions else {}
        states = self.model.model.language_model(
            inputs_embeds=self._embed(ids, lessons), attention_mask=(ids != 0).to(self.device), **places
        ).last_hidden_state
        wanted = answer[:, 1:].to(self.device)
        rows, columns = torch.nonzero(wanted, as_tuple=True)
        logits = self.model.lm_head(states[rows, columns])
        targets = ids[:, 1:].to(self.device)[rows, columns]
        losses = F.cross_entropy(logits.float(), targets, reduction="none")
        weights = 1 / wanted.sum(dim=1).float()[rows]
        return (losses * weights).sum() / len(lessons)

    def _tokens(self, lessons: Sequence[Lesson]) -> tuple[torch.Tensor, torch.Tensor]:
        prompts, answers = (
            self.tokenizer(texts, add_special_tokens=False)["input_ids"]
            for texts in (list(map(self.prompt_of, lessons)), [lesson.answer for lesson in lessons])
        )
        longest = max(len(p) + len(a) + 1 for p, a in zip(prompts, answers, strict=True))
        ids = torch.zeros(len(lessons), -(-longest // self._width) * self._width, dtype=torch.long)
        answer = torch.zeros_like(ids)
        for row, (prompt, reply) in enumerate(zip(prompts, answers, strict=True)):
            whole = [*prompt, *reply, self.tokenizer.eos_token_id]
            ids[row, : len(whole)] = torch.tensor(whole)
            answer[row, len(prompt) : len(whole)] = 1
        return ids, answer

    def _embed(self, ids: torch.Tensor, lessons: Sequence[Lesson]) -> torch.Tensor:
        embedded = self.model.model.language_model.get_input_embeddings()(ids.to(self.device))
        seen = [self.features_of(lesson) for lesson in lessons if lesson.row >= 0]
        if seen:
            features = torch.stack([one.to(self.device, embedded.dtype) for one in seen])
            images = self.model.model.multi_modal_projector(features).to(embedded.dtype)
            place_holder: Any = self.tokenizer.convert_tokens_to_ids(IMAGE)
            where = torch.eq(ids, place_holder).to(self.device)
            embedded = embedded.masked_scatter(where.unsqueeze(-1), images)
        return embedded
