"""The CLIP probe: a logistic regression on what an open_clip model sees, the baseline that reads no words of its own.

Its features are the vectors of image and text and their product, element by element; the regression is that of the
audit's shortcut probes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pipelines.auditing.features import linear
from pipelines.training.evaluation.bootstrap import Floats
from pipelines.training.evaluation.items import Item
from schemas.config import Model
from schemas.reasoning import BENIGN, HARMFUL

CHUNK = 64


class ClipProbe:
    """Fitted on one split, asked about others.

    Args:
        path: An open_clip folder.
        device: `auto`, `cpu` or `cuda`.

    Raises:
        ModelMissingError: There is no such folder, or it holds no safetensors.
    """

    def __init__(self, path: str, device: str = "auto") -> None:
        from pipelines.models.clip import load_dual_encoder

        self._encoder = load_dual_encoder(Model.model_validate({"path": path, "device": device}))
        self._regression: Any = None

    def fit(self, items: Sequence[Item]) -> ClipProbe:
        """Fit on pairs and their verdicts.

        Raises:
            ValueError: All pairs have the same verdict.
        """
        labels = np.array([item.example.verdict == HARMFUL for item in items])
        if len(set(labels.tolist())) < 2:
            raise ValueError("the probe needs harmful and benign pairs to be fitted on")
        with _one_thread():
            self._regression = linear().fit(self._features(items), labels)
        return self

    def judge(self, items: Sequence[Item]) -> list[tuple[str, float]]:
        """The verdict on each pair, and the log-odds that it is harmful, in nats."""
        with _one_thread():
            odds = self._regression.decision_function(self._features(items))
        return [(HARMFUL if one > 0 else BENIGN, round(float(one), 4)) for one in odds]

    def _features(self, items: Sequence[Item]) -> Floats:
        found = [self._vectors(items[start : start + CHUNK]) for start in range(0, len(items), CHUNK)]
        image, text = (np.concatenate(part) for part in zip(*found, strict=True))
        return np.hstack([image, text, image * text])

    def _vectors(self, items: Sequence[Item]) -> tuple[Floats, Floats]:
        import torch

        from pipelines.models.devices import moved

        encoder = self._encoder
        pictures = torch.stack([encoder.preprocess(item.picture()) for item in items])
        tokens = encoder.tokenizer([item.example.text for item in items])
        with torch.inference_mode():
            image = encoder.model.encode_image(**moved({"image": pictures}, encoder.model), normalize=True)
            text = encoder.model.encode_text(**moved({"text": tokens}, encoder.model), normalize=True)
        return _array(image), _array(text)


def _array(vectors: Any) -> Floats:
    return np.asarray(vectors.float().cpu().numpy(), dtype=np.float64)


def _one_thread() -> Any:
    """One thread sums in one order."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
