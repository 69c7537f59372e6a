"""The CLIP probes: small classifiers of what an open_clip model sees, the baselines that say nothing.

The linear one is a logistic regression on the vectors of image and text and their product, element by element. The one
with a kernel can learn any combination of image and text that it has seen. Both are those of the audit.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.auditing.features import linear
from pipelines.auditing.kernel import ProductKernelMachine
from pipelines.training.evaluation.bootstrap import Floats
from pipelines.training.evaluation.items import Item
from schemas.config import Model
from schemas.reasoning import BENIGN, HARMFUL

CHUNK = 64
FOLDS = 5


class ClipProbe:
    """Fitted on one split, asked about others.

    Args:
        path: An open_clip folder.
        device: `auto`, `cpu` or `cuda`.
        kernel: Whether it is the one with a kernel.

    Raises:
        ModelMissingError: There is no such folder, or it holds no safetensors.
    """

    def __init__(self, path: str, device: str = "auto", *, kernel: bool = False) -> None:
        from pipelines.models.clip import load_dual_encoder

        self._encoder = load_dual_encoder(Model.model_validate({"path": path, "device": device}))
        self._kernel = kernel
        self._classifier: Any = None

    def fit(self, items: Sequence[Item]) -> ClipProbe:
        """Fit on pairs and their verdicts.

        Raises:
            ValueError: All pairs have the same verdict.
        """
        labels = np.array([item.example.verdict == HARMFUL for item in items])
        if len(set(labels.tolist())) < 2:
            raise ValueError("the probe needs harmful and benign pairs to be fitted on")
        with _one_thread():
            self._classifier = (Kernel() if self._kernel else linear()).fit(self._features(items), labels)
        return self

    def judge(self, items: Sequence[Item]) -> list[tuple[str, float]]:
        """The verdict on each pair, and the log-odds that it is harmful, in nats."""
        with _one_thread():
            odds = self._classifier.decision_function(self._features(items))
        return [(HARMFUL if one > 0 else BENIGN, round(float(one), 4)) for one in odds]

    def _features(self, items: Sequence[Item]) -> Floats:
        found = [self._vectors(items[start : start + CHUNK]) for start in range(0, len(items), CHUNK)]
        image, text = (np.concatenate(part) for part in zip(*found, strict=True))
        return np.hstack([image, text] if self._kernel else [image, text, image * text])

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


class Kernel:
    """The audit's machine with a product kernel, its decisions as log-odds (Platt scaling over folds)."""

    def fit(self, rows: Floats, labels: npt.NDArray[np.bool_]) -> Kernel:
        """Fit on rows (n, 2 d) and their labels."""
        from sklearn.linear_model import LogisticRegression
        from sklearn.model_selection import StratifiedKFold

        known = labels.astype(np.int64)
        self._machine = ProductKernelMachine().fit(rows, known)
        self._scale = None
        number = min(FOLDS, int(np.bincount(known).min()))
        if number < 2:
            return self
        unseen = np.zeros(len(rows))
        for fitted, left in StratifiedKFold(number, shuffle=True, random_state=0).split(rows, known):
            unseen[left] = (
                ProductKernelMachine().fit(rows[fitted], known[fitted]).decision_function(rows[left])
            )
        scale = LogisticRegression(class_weight="balanced").fit(unseen[:, None], known)
        # On a handful of pairs folds may tell nothing, or the reverse.
        self._scale = scale if scale.coef_[0, 0] > 0 else None
        return self

    def decision_function(self, rows: Floats) -> Floats:
        """Log-odds, (n,)."""
        decided = self._machine.decision_function(rows)
        found: Floats = decided if self._scale is None else self._scale.decision_function(decided[:, None])
        return found


def _array(vectors: Any) -> Floats:
    return np.asarray(vectors.float().cpu().numpy(), dtype=np.float64)


def _one_thread() -> Any:
    """One thread sums in one order."""
    from threadpoolctl import threadpool_limits

    return threadpool_limits(1)
