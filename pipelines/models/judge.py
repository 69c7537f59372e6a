"""The judge as Beam ModelHandlers: any `AutoModelForImageTextToText` that answers yes or no, and says why."""

from __future__ import annotations

import io
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from threading import Lock
from typing import Any, NamedTuple

import numpy as np
from apache_beam.ml.inference.base import ModelHandler

from pipelines.models.batches import map_batches
from pipelines.models.resolve import fingerprint, model_folder
from pipelines.storage.workspace import Workspace
from schemas.config import Model
from schemas.questions import IMAGE_ALONE, JOINT, NO, RATIONALE, TEXT_ALONE, YES, harm_question

LENGTH_STEP = 16
_TOKENIZING = Lock()
"""Hugging Face's fast tokenizers may raise when threads share one with different padding."""
RATIONALE_TOKENS = 64


class Question(NamedTuple):
    """An image and a text to judge together, or one of them with the other part empty."""

    image_id: str
    text: str


@dataclass(frozen=True, eq=False)
class VisionLanguageModel:
    """A loaded model with its processor and the token ids of the two answers."""

    model: Any
    processor: Any
    yes: int
    no: int


class Judge(ModelHandler[Question, bytes, VisionLanguageModel]):
    """Questions to the probability of harm, softmax over the two answers' first tokens, as one float32."""

    def __init__(self, model: Model, workspace: Workspace) -> None:
        super().__init__()
        self._model, self._workspace = model, workspace

    @property
    def name(self) -> str:
        """The judge's name on written rows."""
        return f"{self._model.path}@{self._model.revision}" if self._model.revision else self._model.path

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a probability depends on."""
        return fingerprint("judge", self._model, IMAGE_ALONE, TEXT_ALONE, JOINT, YES, NO)

    def load_model(self) -> VisionLanguageModel:
        """Load model and processor."""
        return load_vision_language_model(self._model)

    def run_inference(
        self,
        batch: Sequence[Question],
        model: VisionLanguageModel,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[bytes]:
        """Ask every question of a batch; image, text and both are asked apart, never with the other part."""
        import torch

        def answer(prompts: list[Prompt]) -> list[bytes]:
            with torch.inference_mode():
                inputs = _inputs(model, prompts, self._workspace)
                logits = model.model(**inputs, logits_to_keep=1).logits[:, -1]
                p = logits[:, [model.yes, model.no]].float().softmax(dim=-1)[:, 0]
            return [np.float32(value).astype("<f4").tobytes() for value in p.tolist()]

        prompts = _prompts(model, batch, [harm_question(bool(q.image_id), q.text) for q in batch])
        return map_batches(
            answer,
            prompts,
            size=self._model.batch_size,
            threads=self._model.threads,
            shapes=_shapes(model, prompts, self._workspace),
        )

    def get_num_bytes(self, batch: Sequence[Question]) -> int:
        """Bytes of the questions, without pickling them."""
        return sum(64 + len(q.text) for q in batch)


class Rationaliser(ModelHandler[Question, bytes, VisionLanguageModel]):
    """Questions about accepted pairs to a rationale, as UTF-8; decoded greedily."""

    def __init__(self, model: Model, workspace: Workspace) -> None:
        super().__init__()
        self._model, self._workspace = model, workspace

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a rationale depends on."""
        return fingerprint("rationale", self._model, RATIONALE, str(RATIONALE_TOKENS))

    def load_model(self) -> VisionLanguageModel:
        """Load model and processor."""
        return load_vision_language_model(self._model)

    def run_inference(
        self,
        batch: Sequence[Question],
        model: VisionLanguageModel,
        inference_args: dict[str, Any] | None = None,
    ) -> Iterable[bytes]:
        """Write a rationale for every pair of a batch."""
        import torch

        tokenizer = model.processor.tokenizer

        def write(prompts: list[Prompt]) -> list[bytes]:
            with torch.inference_mode():
                inputs = _inputs(model, prompts, self._workspace)
                out = model.model.generate(
                    **inputs,
                    max_new_tokens=RATIONALE_TOKENS,
                    do_sample=False,
                    pad_token_id=tokenizer.pad_token_id,
                    eos_token_id=tokenizer.eos_token_id,
                )
            texts = tokenizer.batch_decode(out[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
            return [text.strip().encode() for text in texts]

        prompts = _prompts(model, batch, [RATIONALE.format(text=q.text) for q in batch])
        return map_batches(
            write,
            prompts,
            size=self._model.batch_size,
            threads=self._model.threads,
            shapes=_shapes(model, prompts, self._workspace),
        )

    def get_num_bytes(self, batch: Sequence[Question]) -> int:
        """Bytes of the questions, without pickling them."""
        return sum(64 + len(q.text) for q in batch)


class Prompt(NamedTuple):
    """A question as the model's chat template writes it, and the image it is about (or none)."""

    text: str
    image_id: str


def load_vision_language_model(model: Model) -> VisionLanguageModel:
    """Load in single precision from safetensors; remote code is never run.

    Raises:
        ValueError: The model has no chat template, or its two answers start with the same token.
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = str(model_folder(model))
    loaded = AutoModelForImageTextToText.from_pretrained(folder, dtype=torch.float32, use_safetensors=True)
    processor = AutoProcessor.from_pretrained(folder)
    if not processor.chat_template:
        raise ValueError(f"{model.path} has no chat template, so it cannot be asked anything")
    yes, no = (processor.tokenizer.encode(a, add_special_tokens=False)[0] for a in (YES, NO))
    if yes == no:
        raise ValueError(f"{model.path}: the answers {YES!r} and {NO!r} start with the same token")
    return VisionLanguageModel(loaded.eval(), processor, yes, no)


def _prompts(model: VisionLanguageModel, batch: Sequence[Question], asked: list[str]) -> list[Prompt]:
    special = _special_tokens(model)
    prompts = []
    for question, sentence in zip(batch, asked, strict=True):
        words = special.sub(lambda token: f"{token[0][0]} {token[0][1:]}", sentence)
        image = [{"type": "image"}] if question.image_id else []
        messages = [{"role": "user", "content": [*image, {"type": "text", "text": words}]}]
        text = model.processor.apply_chat_template(messages, add_generation_prompt=True)
        prompts.append(Prompt(text, question.image_id))
    return prompts


def _special_tokens(model: VisionLanguageModel) -> re.Pattern[str]:
    """Finds what a text would smuggle past the chat template: an image's place holder, say, or an end of turn."""
    tokens = [t.content for t in model.processor.tokenizer.added_tokens_decoder.values() if t.special]
    return re.compile("|".join(re.escape(t) for t in sorted(tokens, key=len, reverse=True)) or "(?!)")


def _shapes(
    model: VisionLanguageModel, prompts: list[Prompt], workspace: Workspace
) -> list[tuple[tuple[int, ...], int]]:
    """What shares a batch: prompts whose images make tensors of one shape, of one padded length in steps."""
    from PIL import Image

    if not prompts:
        return []
    blobs = workspace.blobs()
    with _TOKENIZING:
        encoded = model.processor.tokenizer([p.text for p in prompts], add_special_tokens=False)["input_ids"]
    seen: dict[tuple[int, int], tuple[int, ...]] = {}
    shapes = []
    for prompt, ids in zip(prompts, encoded, strict=True):
        image: tuple[int, ...] = (0,)
        if prompt.image_id:
            size = Image.open(io.BytesIO(blobs.get(prompt.image_id))).size
            if size not in seen:
                seen[size] = _image_shape(model, prompt.text, len(ids), size)
            image = seen[size]
        shapes.append((image, -(-(len(ids) + image[0]) // LENGTH_STEP)))
    return shapes


def _image_shape(
    model: VisionLanguageModel, text: str, length: int, size: tuple[int, int]
) -> tuple[int, ...]:
    """How many tokens an image of a size adds to its prompt, and the shape of its pixels, tried on a blank one."""
    from PIL import Image

    with _TOKENIZING:
        inputs = model.processor(
            text=[text], images=[Image.new("RGB", size)], add_special_tokens=False, return_tensors="pt"
        )
    return (inputs["input_ids"].shape[1] - length, *inputs["pixel_values"].shape)


def _inputs(model: VisionLanguageModel, prompts: list[Prompt], workspace: Workspace) -> Any:
    from PIL import Image

    blobs = workspace.blobs()
    images = [Image.open(io.BytesIO(blobs.get(p.image_id))).convert("RGB") for p in prompts if p.image_id]
    with _TOKENIZING:
        return model.processor(
            text=[p.text for p in prompts],
            images=images or None,
            padding=True,
            padding_side="left",
            pad_to_multiple_of=LENGTH_STEP,
            add_special_tokens=False,
            return_tensors="pt",
        )
