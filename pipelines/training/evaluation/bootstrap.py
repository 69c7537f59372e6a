"""Intervals by drawing clusters of rows again and again, and of the difference of two models on the same draws.

Rows of a contrast set are not independent, so the set is drawn as one (Field and Welsh 2007). Two models are compared
on the same draws, so that what makes a draw hard for both does not widen the interval of their difference (a paired
bootstrap, Efron and Tibshirani 1993, chapter 16).
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

RESAMPLES = 1000
LEVEL = 0.95
DIGITS = 4

Floats = npt.NDArray[np.float64]
Measure = Callable[[Floats], Floats]
"""From the weights of the rows in each resample, (b, n), to a value for each, (b,); NaN where there is none."""


class Estimate(NamedTuple):
    """A value with its 95 % interval; None where the rows do not say."""

    value: float | None
    low: float | None
    high: float | None


def draw(clusters: Sequence[str], seed: str, resamples: int = RESAMPLES) -> Floats:
    """How often each row is in each resample of the clusters, (resamples, n).

    Args:
        clusters: The cluster of each row.
        seed: Decides the draws, together with how many clusters there are.
        resamples: How many.
    """
    _, member = np.unique(np.asarray(clusters), return_inverse=True)
    size = int(member.max()) + 1
    random = np.random.default_rng(int(hashlib.sha256(seed.encode()).hexdigest()[:16], 16))
    counts = random.multinomial(size, np.full(size, 1 / size), size=resamples)
    return counts[:, member].astype(np.float64)


def estimate(measure: Measure, draws: Floats) -> Estimate:
    """The measure on all rows, with the percentiles of its values on the draws."""
    return _estimate(measure(_all(draws)), measure(draws))


def difference(one: Measure, other: Measure, draws: Floats) -> Estimate:
    """How much more `one` is than `other`, with the percentiles of the difference on the same draws."""
    return _estimate(one(_all(draws)) - other(_all(draws)), one(draws) - other(draws))


def _all(draws: Floats) -> Floats:
    return np.ones((1, draws.shape[1]))


def _estimate(whole: Floats, drawn: Floats) -> Estimate:
    if np.isnan(whole[0]):
        return Estimate(None, None, None)
    known = drawn[~np.isnan(drawn)]
    if not len(known):
        return Estimate(_rounded(whole[0]), None, None)
    low, high = np.quantile(known, [(1 - LEVEL) / 2, (1 + LEVEL) / 2])
    return Estimate(_rounded(whole[0]), _rounded(low), _rounded(high))


def _rounded(value: float) -> float:
    return round(float(value), DIGITS) + 0.0
