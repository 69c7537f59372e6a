"""Texts to unit vectors, by the text tower of an open_clip model or any encoder of transformers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from pipelines.models.clip import DualEncoder, TextEmbedder


class Embedder(Protocol):
    """Embeds texts."""

    def __call__(self, texts: list[str]) -> NDArray[np.floating[Any]]:
        """Unit vectors of the texts, in their order: shape (n, d)."""
        ...


@dataclass(frozen=True)
class ClipTexts:
    """The text tower of an open_clip model; texts longer than its context are cut."""

    folder: str
    """`builtin:tinyworld/clip`, a folder with `open_clip_config.json`, or a hub id with its `revision`."""
    revision: str = ""
    batch_size: int = 32

    def __call__(self, texts: list[str]) -> NDArray[np.floating[Any]]:
        """Embed the texts."""
        handler, encoder = self._loaded
        return _rows([np.frombuffer(row, dtype="<f4") for row in handler.run_inference(texts, encoder)])

    @cached_property
    def _loaded(self) -> tuple[TextEmbedder, DualEncoder]:
        """Held here, since a process holds a dual encoder only as long as somebody uses it."""
        from pipelines.models.clip import TextEmbedder
        from schemas.config import Model

        handler = TextEmbedder(Model(path=self.folder, revision=self.revision, batch_size=self.batch_size))
        return handler, handler.load_model()


@dataclass(frozen=True, eq=False)
class MeanPooled:
    """An encoder of transformers whose last hidden states are averaged over a text's tokens, after Sentence-BERT."""

    model: Any
    tokenizer: Any
    batch_size: int = 32
    max_length: int = 256
    """Tokens of a text that are read."""

    @staticmethod
    def load(folder: str, revision: str | None = None) -> MeanPooled:
        """Load model and tokenizer from a folder, or from a hub at a pinned revision (safetensors only)."""
        from transformers import AutoModel, AutoTokenizer

        model = AutoModel.from_pretrained(folder, revision=revision, use_safetensors=True)
        return MeanPooled(model.eval(), AutoTokenizer.from_pretrained(folder, revision=revision))

    def __call__(self, texts: list[str]) -> NDArray[np.floating[Any]]:
        """Embed the texts."""
        starts = range(0, len(texts), self.batch_size)
        return _rows([row for at in starts for row in self._embed(texts[at : at + self.batch_size])])

    def _embed(self, texts: list[str]) -> NDArray[np.floating[Any]]:
        import torch

        inputs = self.tokenizer(
            texts, padding=True, truncation=True, max_length=self.max_length, return_tensors="pt"
        ).to(self.model.device)
        with torch.inference_mode():
            states = self.model(**inputs).last_hidden_state.float()
            mask = inputs["attention_mask"].unsqueeze(-1).float()
            means = (states * mask).sum(dim=1) / mask.sum(dim=1).clamp(min=1)
            unit = torch.nn.functional.normalize(means, dim=-1)
        vectors: NDArray[np.floating[Any]] = unit.cpu().numpy()
        return vectors


def _rows(rows: Sequence[NDArray[np.floating[Any]]]) -> NDArray[np.floating[Any]]:
    return np.stack(rows) if rows else np.zeros((0, 0), dtype=np.float32)
