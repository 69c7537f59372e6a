"""A classifier of pairs that can learn that harm lies in the combination."""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]

SHARPNESS = 2.0
"""The kernel's width: at the median squared distance it is exp(-SHARPNESS)."""
ALONE = 0.1
"""Weight of image and text by themselves beside their product."""
PENALTY = 10.0
"""The C of the machine."""


class ProductKernelMachine:
    """A support vector machine with the kernel k(i, i') k(t, t') + ALONE (k(i, i') + k(t, t')), k Gaussian.

    The rows are image vectors and, behind them, text vectors of the same width, (n, 2 d).
    """

    def fit(self, rows: Floats, labels: npt.NDArray[np.int64]) -> ProductKernelMachine:
        """Fit on rows and their labels."""
        from sklearn.svm import SVC

        self._rows = rows
        self._widths = [SHARPNESS / _median_distance(half) for half in np.hsplit(rows, 2)]
        self._machine = SVC(C=PENALTY, kernel="precomputed", class_weight="balanced")
        self._machine.fit(self._kernel(rows), labels)
        return self

    def decision_function(self, rows: Floats) -> Floats:
        """Higher is more harmful, (n,)."""
        return np.asarray(self._machine.decision_function(self._kernel(rows)), dtype=np.float64)

    def _kernel(self, rows: Floats) -> Any:
        from sklearn.metrics.pairwise import rbf_kernel

        halves = zip(np.hsplit(rows, 2), np.hsplit(self._rows, 2), self._widths, strict=True)
        image, text = (rbf_kernel(one, other, width) for one, other, width in halves)
        return image * text + ALONE * (image + text)


def _median_distance(vectors: Floats) -> float:
    """Median squared distance of distinct vectors, at most 500 of them; 1 if all are the same."""
    from scipy.spatial.distance import pdist

    distinct = np.unique(vectors.round(6), axis=0)
    some = distinct[:: max(1, len(distinct) // 500)]
    found = pdist(some, "sqeuclidean")
    return float(np.median(found)) if len(found) and np.median(found) > 0 else 1.0
