"""A screening member without training: an image is compared by open_clip with harmful and with benign concepts.

It is a coarse member (it knows what a caption could say and nothing of a dataset's own idea of harm), which is why it
sits beside others and why its concepts are data.
"""

from __future__ import annotations

import json
import tomllib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from apache_beam.ml.inference.base import ModelHandler

from pipelines.models.clip import DualEncoder, TextEmbedder, load_dual_encoder, map_images
from pipelines.models.resolve import fingerprint
from pipelines.storage.workspace import Workspace
from schemas.config import Model


class Concepts(NamedTuple):
    """What an image is compared with, as captions."""

    harmful: tuple[str, ...]
    benign: tuple[str, ...]

    @classmethod
    def read(cls, path: str | Path) -> Concepts:
        """Read a TOML file with the lists `harmful` and `benign`.

        Raises:
            ValueError: The file cannot be read, a list is missing or empty or holds something else than captions,
                or a caption comes twice.
        """
        try:
            content = Path(path).read_text(encoding="utf-8")
            return _concepts(tomllib.loads(content))
        except (OSError, ValueError) as error:
            raise ValueError(f"concepts {path}: {error}") from error


def _concepts(data: dict[str, Any]) -> Concepts:
    if data.keys() != {"harmful", "benign"}:
        raise ValueError(f"expected the two lists `harmful` and `benign`, found {sorted(data)}")
    for name, captions in data.items():
        usual = isinstance(captions, list) and all(isinstance(c, str) and c.strip() for c in captions)
        if not captions or not usual:
            raise ValueError(f"`{name}` must be a list of one or more captions")
    captions = [*data["harmful"], *data["benign"]]
    twice = sorted({caption for caption in captions if captions.count(caption) > 1})
    if twice:
        raise ValueError(f"captions that come twice: {twice}")
    return Concepts(tuple(data["harmful"]), tuple(data["benign"]))


@lru_cache(maxsize=1)
def default_concepts() -> Concepts:
    """The concepts that ship with the package."""
    return Concepts.read(Path(str(files(__package__) / "concepts.toml")))


@dataclass(frozen=True, eq=False)
class ZeroShot:
    """A loaded dual encoder and its concepts' vectors, multiplied by the scale of its logits."""

    encoder: DualEncoder
    concepts: Any
    """float64, (dimensions, harmful + benign); the harmful ones come first."""


class ZeroShotScreener(ModelHandler[str, bytes, ZeroShot]):
    """Blob ids to the probability of the harmful concepts, as one little-endian float32.

    The probability is the sum over the harmful concepts of a softmax over cosine * logit scale of all concepts.

    Args:
        model: An open_clip model.
        workspace: Where the blobs are.
        concepts: What to compare with; those of the package if None.
    """

    def __init__(self, model: Model, workspace: Workspace, concepts: Concepts | None = None) -> None:
        super().__init__()
        self._model, self._workspace = model, workspace
        self._concepts = concepts or default_concepts()

    @property
    def name(self) -> str:
        """The member's name in screening scores."""
        return f"zero-shot:{self._model.path}"

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a probability depends on."""
        return fingerprint("zero-shot-image", self._model, json.dumps(self._concepts))

    def load_model(self) -> ZeroShot:
        """Load the dual encoder and encode the concepts, in batches of the fixed shape."""
        import torch

        encoder = load_dual_encoder(self._model)
        captions = [*self._concepts.harmful, *self._concepts.benign]
        rows = TextEmbedder(self._model).run_inference(captions, encoder)
        vectors = np.stack([np.frombuffer(row, dtype="<f4") for row in rows])
        with torch.inference_mode():
            scale = encoder.model.logit_scale.double().exp().cpu()
            return ZeroShot(encoder, torch.from_numpy(vectors.astype(np.float64)).T.contiguous() * scale)

    def run_inference(
        self, batch: Sequence[str], model: ZeroShot, inference_args: dict[str, Any] | None = None
    ) -> Iterable[bytes]:
        """Read the images of a batch and compare them with the concepts."""
        import torch

        encoder, harmful = model.encoder, len(self._concepts.harmful)

        def score(inputs: dict[str, torch.Tensor]) -> list[bytes]:
            with torch.inference_mode():
                vectors = encoder.model.encode_image(**inputs, normalize=True).double().cpu()
                # In single precision the last bit of so narrow a product depends on a row's place in its batch.
                p = (vectors @ model.concepts).softmax(dim=-1)[:, :harmful].sum(dim=-1).clamp(0, 1)
            return [row.tobytes() for row in p.numpy().astype(np.dtype("<f4"))]

        return map_images(score, batch, encoder, self._workspace.blobs(), self._model)

    def get_num_bytes(self, batch: Sequence[str]) -> int:
        """Bytes of the blob ids, without pickling them."""
        return 64 * len(batch)
