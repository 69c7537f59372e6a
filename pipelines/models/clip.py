"""open_clip as two Beam ModelHandlers: images by blob id, and texts, to unit vectors in one space."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from apache_beam.ml.inference.base import ModelHandler

from pipelines.models.batches import map_batches
from pipelines.models.devices import accelerated, held_once, moved, placed
from pipelines.models.resolve import fingerprint, model_folder
from pipelines.storage.blobs import BlobStore
from pipelines.storage.workspace import Workspace
from schemas.config import Model

if TYPE_CHECKING:
    import open_clip

R = TypeVar("R")


@dataclass(frozen=True, eq=False)
class DualEncoder:
    """A loaded open_clip model with its preprocessing and tokenizer."""

    model: open_clip.CLIP
    preprocess: Any
    tokenizer: Any


class ImageEmbedder(ModelHandler[str, bytes, DualEncoder]):
    """Blob ids to unit vectors, as little-endian float32 bytes."""

    def __init__(self, model: Model, workspace: Workspace) -> None:
        super().__init__()
        self._model, self._workspace = model, workspace

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a vector depends on."""
        return fingerprint("clip-image", self._model)

    def load_model(self) -> DualEncoder:
        """Load the dual encoder."""
        return load_dual_encoder(self._model)

    def run_inference(
        self, batch: Sequence[str], model: DualEncoder, inference_args: dict[str, Any] | None = None
    ) -> Iterable[bytes]:
        """Read, preprocess and encode the images of a batch."""
        import torch

        def encode(inputs: dict[str, torch.Tensor]) -> list[bytes]:
            with torch.inference_mode():
                return _vectors(model.model.encode_image(**inputs, normalize=True))

        return map_images(encode, batch, model, self._workspace.blobs(), self._model)

    def get_num_bytes(self, batch: Sequence[str]) -> int:
        """Bytes of the blob ids, without pickling them."""
        return 64 * len(batch)


class TextEmbedder(ModelHandler[str, bytes, DualEncoder]):
    """Texts to unit vectors, as little-endian float32 bytes."""

    def __init__(self, model: Model) -> None:
        super().__init__()
        self._model = model

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a vector depends on."""
        return fingerprint("clip-text", self._model)

    def load_model(self) -> DualEncoder:
        """Load the dual encoder."""
        return load_dual_encoder(self._model)

    def run_inference(
        self, batch: Sequence[str], model: DualEncoder, inference_args: dict[str, Any] | None = None
    ) -> Iterable[bytes]:
        """Encode the texts of a batch; longer ones are cut at the model's context length."""
        import torch

        def encode(rows: list[torch.Tensor]) -> list[bytes]:
            with torch.inference_mode():
                inputs = moved({"text": torch.stack(rows)}, model.model)
                return _vectors(model.model.encode_text(**inputs, normalize=True))

        if not batch:
            return []
        # Tokenized here, since Hugging Face's fast tokenizers may raise when threads share one.
        tokens = list(model.tokenizer(list(batch)))
        return map_batches(
            encode,
            tokens,
            size=self._model.batch_size,
            threads=self._model.threads,
            one_by_one=accelerated(model.model),
        )

    def get_num_bytes(self, batch: Sequence[str]) -> int:
        """Bytes of the texts, without pickling them."""
        return sum(map(len, batch))


def map_images(
    run: Callable[[Any], Sequence[R]],
    ids: Sequence[str],
    encoder: DualEncoder,
    blobs: BlobStore,
    settings: Model,
) -> list[R]:
    """Call `run` with the inputs of `encode_image` for batches of stored images; one result an image."""
    import torch
    from PIL import Image

    def load(id: str) -> Any:
        with Image.open(io.BytesIO(blobs.get(id))) as image:
            return encoder.preprocess(image)

    return map_batches(
        run,
        ids,
        size=settings.batch_size,
        threads=settings.threads,
        load=load,
        join=lambda images: moved({"image": torch.stack(images)}, encoder.model),
        one_by_one=accelerated(encoder.model),
    )


def load_dual_encoder(model: Model) -> DualEncoder:
    """Load open_clip's format, once in a process: `open_clip_config.json` and `open_clip_model.safetensors`."""
    import open_clip

    folder = str(model_folder(model))

    def load() -> DualEncoder:
        location = f"local-dir:{folder}"
        clip, _, preprocess = open_clip.create_model_and_transforms(location, weights_only=True)
        return DualEncoder(placed(clip, model), preprocess, open_clip.get_tokenizer(location))

    return held_once(folder, model, load)


def _vectors(encoded: Any) -> list[bytes]:
    return [row.tobytes() for row in encoded.float().cpu().numpy().astype(np.dtype("<f4"))]
