"""Vision-language models: loading, prompts in the model's own chat template, and their inputs in fixed shapes."""

from __future__ import annotations

import copy
import io
import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from threading import Lock
from typing import Any, NamedTuple, TypeVar

from pipelines.models.batches import map_batches
from pipelines.models.devices import accelerated, concatenated, held_once, moved, placed
from pipelines.models.resolve import model_folder
from pipelines.models.shared_vision import ImageFeatures, SharedVision
from pipelines.models.special_tokens import broken_up, pattern_of
from pipelines.storage.blobs import BlobStore
from schemas.config import Model
from schemas.policy import Answers

LENGTH_STEP = 16
PADDED = {
    "padding": True,
    "padding_side": "left",
    "pad_to_multiple_of": LENGTH_STEP,
    "add_special_tokens": False,
    "return_tensors": "pt",
}
R = TypeVar("R")


class Prompt(NamedTuple):
    """A question as the model's chat template writes it, and the image it is about (or none)."""

    text: str
    image_id: str


@dataclass(frozen=True, eq=False)
class VisionLanguageModel:
    """A loaded model with its processor."""

    model: Any
    processor: Any
    tokenizing: Lock = field(default_factory=Lock, repr=False)
    """Hugging Face's fast tokenizers may raise when threads share one with different padding."""
    shapes: dict[tuple[int, int], tuple[int, ...]] = field(default_factory=dict, repr=False)
    """What is known of images by their sizes: see `_shape_of`."""

    @cached_property
    def vision(self) -> SharedVision | None:
        """The image tower on its own, where transformers lets its features be handed over."""
        return SharedVision.of(self.model, self.processor)

    @cached_property
    def in_threads(self) -> Any:
        """The processor for many threads: they take turns at the tokenizer alone, so that images go on at once."""
        own = copy.copy(self.processor)
        own.tokenizer = _OneAtATime(self.processor.tokenizer, self.tokenizing)
        return own

    def answer_tokens(self, answers: Answers) -> tuple[int, int]:
        """The first tokens of the answers that mean harm and no harm; ValueError if they are the same."""
        encode = self.processor.tokenizer.encode
        harmful, benign = (encode(answer, add_special_tokens=False)[0] for answer in answers)
        if harmful == benign:
            raise ValueError(
                f"the answers {answers.harmful!r} and {answers.benign!r} start with the same token"
            )
        return harmful, benign

    def prompt(self, image_id: str, sentence: str) -> Prompt:
        """A sentence in the chat template; what it spells of special tokens is broken up."""
        words = broken_up(sentence, self._special)
        image = [{"type": "image"}] if image_id else []
        messages = [{"role": "user", "content": [*image, {"type": "text", "text": words}]}]
        text = self.processor.apply_chat_template(messages, add_generation_prompt=True)
        return Prompt(text, image_id)

    @cached_property
    def _special(self) -> re.Pattern[str]:
        return pattern_of(self.processor.tokenizer)


class _OneAtATime:
    """A tokenizer whose calls wait for each other."""

    def __init__(self, tokenizer: Any, lock: Lock) -> None:
        self._tokenizer, self._lock = tokenizer, lock

    def __call__(self, *arguments: Any, **options: Any) -> Any:
        with self._lock:
            return self._tokenizer(*arguments, **options)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tokenizer, name)


def load_vision_language_model(model: Model) -> VisionLanguageModel:
    """Load from safetensors, once in a process; remote code is never run.

    Raises:
        ValueError: The model has no chat template.
    """
    import torch
    from transformers import AutoModelForImageTextToText, AutoProcessor

    folder = str(model_folder(model))

    def load() -> VisionLanguageModel:
        dtype = getattr(torch, model.dtype)
        loaded = AutoModelForImageTextToText.from_pretrained(folder, dtype=dtype, use_safetensors=True)
        processor = AutoProcessor.from_pretrained(folder)
        if not processor.chat_template:
            raise ValueError(f"{model.path} has no chat template, so it cannot be asked anything")
        return VisionLanguageModel(placed(loaded, model), processor)

    return held_once(folder, model, load)


def run_prompts(
    model: VisionLanguageModel,
    prompts: Sequence[Prompt],
    blobs: BlobStore,
    settings: Model,
    run: Callable[[dict[str, Any]], Sequence[R]],
) -> list[R]:
    """Call `run` with the model's inputs for batches of prompts; one result a prompt, in their order.

    What shares a batch has images of one shape and one padded length, so that no result depends on its
    neighbours. `run` is called in inference mode, by `settings.threads` threads at once.
    """
    import torch

    prepared = _prepare(model, prompts, blobs, settings)

    def answer(inputs: dict[str, Any]) -> Sequence[R]:
        with torch.inference_mode():
            return run(inputs)

    return map_batches(
        answer,
        prepared,
        size=settings.batch_size,
        threads=settings.threads,
        shapes=[one.shape for one in prepared],
        load=None if model.vision else lambda one: _processed(model, one, blobs),
        join=lambda batch: moved(_inputs(model, batch), model.model),
        one_by_one=accelerated(model.model),
    )


class _Prepared(NamedTuple):
    """A prompt, what of its image is known before its batch, and what it can share a batch with."""

    text: str
    image_id: str
    features: ImageFeatures | None
    shape: tuple[tuple[int, ...], int]


def _prepare(
    model: VisionLanguageModel, prompts: Sequence[Prompt], blobs: BlobStore, settings: Model
) -> list[_Prepared]:
    ids = {prompt.image_id for prompt in prompts if prompt.image_id}
    if not prompts:
        return []
    if model.vision is not None:
        known = model.vision.features(ids, blobs, settings.batch_size, settings.threads)
        texts = [model.vision.spelt_out(p.text, known.get(p.image_id)) for p in prompts]
        images: dict[str, tuple[int, ...]] = {id: (0, *one.tensor.shape) for id, one in known.items()}
    else:
        known, texts = {}, [prompt.text for prompt in prompts]
        images = _image_shapes(model, prompts, blobs)
    with model.tokenizing:
        tokens = model.processor.tokenizer(texts, add_special_tokens=False)["input_ids"]
    prepared = []
    for prompt, text, ids_of in zip(prompts, texts, tokens, strict=True):
        image = images.get(prompt.image_id, (0,))
        steps = -(-(len(ids_of) + image[0]) // LENGTH_STEP)
        prepared.append(_Prepared(text, prompt.image_id, known.get(prompt.image_id), (image, steps)))
    return prepared


def _image_shapes(
    model: VisionLanguageModel, prompts: Sequence[Prompt], blobs: BlobStore
) -> dict[str, tuple[int, ...]]:
    """How many tokens each image adds to its prompt, and the shape of its pixels, tried on a blank of its size."""
    from PIL import Image

    tried, shapes = model.shapes, {}
    for prompt in prompts:
        if prompt.image_id and prompt.image_id not in shapes:
            with Image.open(io.BytesIO(blobs.get(prompt.image_id))) as image:
                size = image.size
            if size not in tried:
                tried[size] = _shape_of(model, prompt.text, size)
            shapes[prompt.image_id] = tried[size]
    return shapes


def _shape_of(model: VisionLanguageModel, text: str, size: tuple[int, int]) -> tuple[int, ...]:
    from PIL import Image

    with model.tokenizing:
        bare = model.processor.tokenizer([text], add_special_tokens=False)["input_ids"][0]
        inputs = model.processor(
            text=[text], images=[Image.new("RGB", size)], add_special_tokens=False, return_tensors="pt"
        )
    return (inputs["input_ids"].shape[1] - len(bare), *inputs["pixel_values"].shape)


def _inputs(model: VisionLanguageModel, batch: list[Any]) -> dict[str, Any]:
    """The inputs of a batch, of prompts where the tower stands apart, else of what `_processed` made of them."""
    if model.vision is None:
        return concatenated(batch)
    with model.tokenizing:
        inputs = dict(model.processor.tokenizer([one.text for one in batch], **PADDED))
    return inputs | model.vision.inputs([one.features for one in batch if one.features])


def _processed(model: VisionLanguageModel, one: _Prepared, blobs: BlobStore) -> dict[str, Any]:
    """The inputs of one prompt by the model's own processor."""
    from PIL import Image

    if not one.image_id:
        return dict(model.in_threads(text=[one.text], **PADDED))
    with Image.open(io.BytesIO(blobs.get(one.image_id))) as image:
        return dict(model.in_threads(text=[one.text], images=[image.convert("RGB")], **PADDED))
