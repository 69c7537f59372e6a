"""The area under the ROC curve (AUC) within strata, and its interval by resampling groups. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 1000
LEVEL = 0.95

Floats = npt.NDArray[np.float64]
Ints = npt.NDArray[np.int64]


class Area(NamedTuple):
    """An AUC, in [0, 1], with its interval."""

    value: float
    low: float
    high: float


def area(scores: Floats, labels: Ints, strata: Ints, groups: Ints, seed: str) -> Area:
    """AUC of scores within strata, with a percentile interval of a bootstrap over groups.

    Only rows of one stratum are compared with each other. Scores of different fits have no common scale, and a fold
    with more harmful rows than the others was predicted by a fit that saw fewer: pooled, that alone gives an AUC
    below 0.5.

    Args:
        scores: (n,) higher is more harmful.
        labels: (n,) 1 harmful, 0 benign.
        strata: (n,) the fit that scored a row.
        groups: (n,) rows of a group are drawn together (Field and Welsh 2007).
        seed: Decides the draws.

    Raises:
        ValueError: No stratum has rows of both labels.
    """
    number = int(hashlib.sha256(seed.encode()).hexdigest()[:16], 16)
    drawn = _draws(groups, np.random.default_rng(number))
    value = float(areas(scores, labels, strata, np.ones((1, len(labels))))[0])
    if np.isnan(value):
        raise ValueError("no stratum has both harmful and benign rows")
    found = areas(scores, labels, strata, drawn)
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile(found, [tail, 1 - tail])
    return Area(value, float(low), float(high))


def areas(scores: Floats, labels: Ints, strata: Ints, weights: Floats) -> Floats:
    """AUCs, one for each row of weights (b, n); NaN where the weights leave nothing to compare. Ties count half."""
    above, pairs = np.zeros(len(weights)), np.zeros(len(weights))
    for harmful, benign in _by_score(scores, labels, strata, weights):
        below = np.cumsum(benign, axis=1) - benign
        above += (harmful * (below + benign / 2)).sum(axis=1)
        pairs += harmful.sum(axis=1) * benign.sum(axis=1)
    return np.divide(above, pairs, out=np.full(len(weights), np.nan), where=pairs > 0)


def _by_score(scores: Floats, labels: Ints, strata: Ints, weights: Floats) -> Iterator[tuple[Floats, Floats]]:
    """Of each stratum the weight of its harmful and of its benign rows, (b, distinct scores), by rising score."""
    for stratum in np.unique(strata):
        rows = np.flatnonzero(strata == stratum)
        rows = rows[np.argsort(scores[rows], kind="stable")]
        starts = np.flatnonzero(np.diff(scores[rows], prepend=-np.inf))
        yield tuple(  # type: ignore[misc]
            np.add.reduceat(weights[:, rows] * (labels[rows] == label), starts, axis=1) for label in (1, 0)
        )


def _draws(groups: Ints, random: np.random.Generator) -> Floats:
    """How often each row is in each resample, (RESAMPLES, n)."""
    _, member = np.unique(groups, return_inverse=True)
    size = int(member.max()) + 1
    counts = random.multinomial(size, np.full(size, 1 / size), size=RESAMPLES)
    return counts[:, member].astype(np.float64)
