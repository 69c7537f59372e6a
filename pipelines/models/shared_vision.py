"""The image tower of a vision-language model, asked once an image however many questions there are about it.

Transformers lets most models be handed what their tower made of an image (`mm_encoder_outputs`), so an image that is
paired with twenty texts need not be decoded, resized and encoded twenty times.
"""

from __future__ import annotations

import inspect
import io
from collections import OrderedDict
from collections.abc import Collection, Sequence
from threading import Lock
from typing import Any, NamedTuple

from pipelines.models.batches import map_batches
from pipelines.models.devices import accelerated, moved
from pipelines.storage.blobs import BlobStore

CAPACITY = 64 * 2**20
"""Bytes of features that are remembered for later batches."""


class ImageFeatures(NamedTuple):
    """What stands for one image in a prompt."""

    tensor: Any
    """Features of its tiles: (tiles, tokens, width)."""
    placeholder: str
    """The text whose tokens they replace."""


class _Images(NamedTuple):
    """A batch of images as the tower takes them."""

    inputs: dict[str, Any]
    tiles: list[int]
    """How many tiles each image is cut into."""
    sizes: list[tuple[int, int]]


class SharedVision:
    """Image features by the ids of images; made by `of`.

    Args:
        model: A model whose `forward` takes `mm_encoder_outputs`.
        processor: Its processor.
    """

    def __init__(self, model: Any, processor: Any) -> None:
        self._model, self._processor = model, processor
        self._known: OrderedDict[str, ImageFeatures] = OrderedDict()
        self._placeholders: dict[tuple[int, int], str] = {}
        self._lock = Lock()

    @classmethod
    def of(cls, model: Any, processor: Any) -> SharedVision | None:
        """The model's tower, or None where more than pixels and tokens goes into the model.

        Models that place image tokens by a grid, or mark them by token types, are such.
        """
        if "mm_encoder_outputs" not in inspect.signature(model.forward).parameters:
            return None
        vision, prompt = cls(model, processor), _sample_prompt(processor)
        blank = _blank((96, 64))
        inputs = processor(text=[prompt], images=[blank], add_special_tokens=False, return_tensors="pt")
        if set(inputs) != {"input_ids", "attention_mask", "pixel_values"}:
            return None
        spelt = prompt.replace(processor.image_token, vision._placeholder(blank.size))
        tokens = processor.tokenizer(spelt, add_special_tokens=False)["input_ids"]
        return vision if tokens == inputs["input_ids"][0].tolist() else None

    def features(
        self, ids: Collection[str], blobs: BlobStore, batch_size: int, threads: int
    ) -> dict[str, ImageFeatures]:
        """The features of images in the blob store; images of one size share batches of `batch_size`.

        Raises:
            KeyError: An image is not stored.
        """
        with self._lock:
            found = {id: self._known[id] for id in ids if id in self._known}
        missed = sorted(set(ids) - found.keys())
        sizes = [_size(id, blobs) for id in missed]
        made = map_batches(
            self._encode,
            list(zip(missed, sizes, strict=True)),
            size=batch_size,
            threads=threads,
            shapes=sizes,
            load=lambda image: (self._pixels(image[0], blobs), image[1]),
            join=self._joined,
            one_by_one=accelerated(self._model),
        )
        new = dict(zip(missed, made, strict=True))
        self._remember(new)
        return found | new

    def spelt_out(self, text: str, features: ImageFeatures | None) -> str:
        """A prompt with the place holder of its image as the tokens that the features replace."""
        return text.replace(self._processor.image_token, features.placeholder) if features else text

    def inputs(self, features: Sequence[ImageFeatures]) -> dict[str, Any]:
        """The arguments of `forward` that stand for the images of a batch, in order."""
        import torch
        from transformers.modeling_outputs import BaseModelOutputWithPooling

        if not features:
            return {}
        tiles = torch.cat([one.tensor for one in features])
        return {"mm_encoder_outputs": {"image": BaseModelOutputWithPooling(pooler_output=tiles)}}

    def _pixels(self, id: str, blobs: BlobStore) -> Any:
        from PIL import Image

        with Image.open(io.BytesIO(blobs.get(id))) as opened:
            image = opened.convert("RGB")
        return self._processor.image_processor(images=[image], return_tensors="pt")["pixel_values"]

    def _joined(self, images: list[tuple[Any, tuple[int, int]]]) -> _Images:
        import torch

        inputs = moved({"pixel_values": torch.cat([tiles for tiles, _ in images])}, self._model)
        return _Images(inputs, [len(tiles) for tiles, _ in images], [size for _, size in images])

    def _encode(self, images: _Images) -> list[ImageFeatures]:
        import torch

        with torch.inference_mode():
            output = self._model.base_model.get_image_features(**images.inputs, return_dict=True)
            parts = output.pooler_output.split(images.tiles)
        # A copy of its own: a view would keep the whole batch alive.
        return [
            ImageFeatures(part.clone(), self._placeholder(size))
            for part, size in zip(parts, images.sizes, strict=True)
        ]

    def _remember(self, new: dict[str, ImageFeatures]) -> None:
        with self._lock:
            self._known.update(new)
            held = sum(one.tensor.nbytes for one in self._known.values())
            while held > CAPACITY:
                _, oldest = self._known.popitem(last=False)
                held -= oldest.tensor.nbytes

    def _placeholder(self, size: tuple[int, int]) -> str:
        """What the processor writes for an image of a size."""
        with self._lock:
            if size not in self._placeholders:
                inputs = self._processor(
                    text=[self._processor.image_token], images=[_blank(size)], add_special_tokens=False
                )
                self._placeholders[size] = self._processor.tokenizer.decode(inputs["input_ids"][0])
            return self._placeholders[size]


def _size(id: str, blobs: BlobStore) -> tuple[int, int]:
    from PIL import Image

    with Image.open(blobs.path(id)) as opened:
        return opened.size


def _blank(size: tuple[int, int]) -> Any:
    from PIL import Image

    return Image.new("RGB", size)


def _sample_prompt(processor: Any) -> str:
    content = [{"type": "image"}, {"type": "text", "text": "What is it?"}]
    prompt: str = processor.apply_chat_template(
        [{"role": "user", "content": content}], add_generation_prompt=True
    )
    return prompt
