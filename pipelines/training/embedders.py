"""Texts to unit vectors, by the text tower of an open_clip model or any encoder of transformers."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from generators.weights import weights_folder
from schemas.config import Model

Vectors = NDArray[np.float64]
Embedder = Callable[[Sequence[str]], Vectors]
"""Texts to their unit vectors in their order, (n, d)."""


def load_embedder(path: str, revision: str = "", device: str = "auto", batch_size: int = 64) -> Embedder:
    """The text tower of an open_clip folder, or any transformers encoder with the mean of its last states.

    Texts longer than the model's context are cut.

    Raises:
        ModelMissingError: There is no such folder, or it holds no safetensors.
    """
    settings = {"path": path, "revision": revision, "batch_size": batch_size, "device": device}
    model = Model.model_validate(settings)
    folder = weights_folder(path, revision)
    return _clip(model) if (folder / "open_clip_config.json").is_file() else _encoder(model, folder)


def _clip(model: Model) -> Embedder:
    from pipelines.models.clip import TextEmbedder
    from pipelines.storage.cache import decode_floats

    embedder = TextEmbedder(model)
    loaded = embedder.load_model()

    def embed(texts: Sequence[str]) -> Vectors:
        rows = [decode_floats(row) for row in embedder.run_inference(list(texts), loaded)]
        return np.stack(rows).astype(np.float64) if rows else np.zeros((0, 0))

    return embed


def _encoder(model: Model, folder: Path) -> Embedder:
    """Mean pooling over a text's tokens, after Sentence-BERT (arXiv 1908.10084)."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    from pipelines.models.devices import moved, placed

    encoder = placed(AutoModel.from_pretrained(str(folder), use_safetensors=True), model)
    tokenizer = AutoTokenizer.from_pretrained(str(folder))

    def embed(texts: Sequence[str]) -> Vectors:
        found = [np.zeros((0, encoder.config.hidden_size))]
        for start in range(0, len(texts), model.batch_size):
            batch = texts[start : start + model.batch_size]
            inputs = moved(tokens_of(tokenizer, encoder, batch), encoder)
            with torch.inference_mode():
                states = encoder(**inputs).last_hidden_state.float()
            mask = inputs["attention_mask"][..., None]
            mean = (states * mask).sum(1) / mask.sum(1).clamp(min=1)
            found.append(torch.nn.functional.normalize(mean, dim=-1).cpu().numpy())
        return np.concatenate(found).astype(np.float64)

    return embed


def tokens_of(
    tokenizer: Any, model: Any, texts: Sequence[str], pairs: Sequence[str] | None = None
) -> dict[str, Any]:
    """Padded inputs of texts, or of pairs of texts, cut to the model's positions."""
    longest = getattr(model.config, "max_position_embeddings", 512)
    options = {"padding": True, "truncation": True, "max_length": longest, "return_tensors": "pt"}
    return dict(tokenizer(list(texts), list(pairs) if pairs is not None else None, **options))
