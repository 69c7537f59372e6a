"""Krippendorff's alpha with bootstrap intervals: how far answers agree beyond what chance would give."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from typing import Any, Literal, NamedTuple

import numpy as np
import numpy.typing as npt

Level = Literal["nominal", "ordinal"]
Counts = npt.NDArray[np.int64]
"""Pairs x values: how many annotators gave a value to a pair."""
Floats = npt.NDArray[np.float64]

RESAMPLES = 1000
CONFIDENCE = 0.95
MOST_UNDEFINED = 0.05
"""Of the resamples; with more of them without an alpha no interval is given."""


class Alpha(NamedTuple):
    """How far the annotators agree on one question."""

    alpha: float | None
    """1 is perfect, 0 is chance, negative is worse than chance; None if it is not defined."""
    low: float | None
    """The 95 % interval by the bootstrap over pairs; None if too many resamples have no alpha."""
    high: float | None
    agreement: float | None
    """Share of equal answers among all that can be compared, not corrected for chance."""
    pairs: int
    """Pairs with two answers or more; the others tell nothing about agreement."""
    answers: int
    """Answers on those pairs."""
    why: str = ""
    """Why there is no alpha; empty if there is one."""


def count_answers(answers: Iterable[tuple[str, Any]], domain: Sequence[Any]) -> Counts:
    """Count the answers (pair id, value) by pair, in the order of the ids; values outside the domain are missing."""
    place = {value: number for number, value in enumerate(domain)}
    kept = [(pair, place[value]) for pair, value in answers if value in place]
    rows = {pair: number for number, pair in enumerate(sorted({pair for pair, _ in kept}))}
    counts = np.zeros((len(rows), len(domain)), np.int64)
    for pair, column in kept:
        counts[rows[pair], column] += 1
    return counts


def measure(counts: Counts, level: Level, resamples: int = RESAMPLES) -> Alpha:
    """Krippendorff's alpha of a question.

    Args:
        counts: Pairs x values; the values in their order for an ordinal question.
        level: Whether one value is nearer to another than to a third.
        resamples: Of the bootstrap, which draws pairs with replacement; its seed is a hash of the counts.
    """
    counts = counts[counts.sum(axis=1) >= 2]
    size = (len(counts), int(counts.sum()))
    if not len(counts):
        return Alpha(None, None, None, None, *size, why="no pair has two answers")
    patterns, times = np.unique(counts, axis=0, return_counts=True)
    units = _coincidences(patterns)
    agreement = round(float(np.einsum("u,uvv->", times, units) / counts.sum()), 4)
    if np.count_nonzero(counts.sum(axis=0)) < 2:
        return Alpha(None, None, None, agreement, *size, why="all answers are the same")
    drawn = _resampled(patterns, times, level, resamples)
    low, high = _interval(alphas(np.einsum("rp,pvw->rvw", drawn, units, optimize=True), level))
    return Alpha(_library_alpha(counts, level), low, high, agreement, *size)


def alphas(coincidences: Floats, level: Level) -> Floats:
    """Alpha of each of a stack of coincidence matrices; NaN where all answers are the same.

    Source: Krippendorff (2011), Computing Krippendorff's alpha-reliability.

    Args:
        coincidences: Resamples x values x values, symmetric.
        level: The difference between two values.
    """
    totals = coincidences.sum(axis=2)
    n = totals.sum(axis=1)
    expected = totals[:, :, None] * totals[:, None, :]
    distance = _distances(totals, level)
    observed = (coincidences * distance).sum(axis=(1, 2))
    by_chance = (expected * distance).sum(axis=(1, 2)) / (n - 1)
    with np.errstate(divide="ignore", invalid="ignore"):
        found: Floats = 1 - observed / by_chance
    return np.where(by_chance > 0, found, np.nan)


def _library_alpha(counts: Counts, level: Level) -> float:
    import krippendorff

    return round(float(krippendorff.alpha(value_counts=counts, level_of_measurement=level)), 4)


def _coincidences(patterns: Counts) -> Floats:
    """The coincidence matrix that each row of counts adds: patterns x values x values."""
    some = patterns.astype(np.float64)
    ordered = some[:, :, None] * some[:, None, :]
    diagonal = np.arange(some.shape[1])
    ordered[:, diagonal, diagonal] -= some
    return ordered / (some.sum(axis=1) - 1)[:, None, None]


def _distances(totals: Floats, level: Level) -> Floats:
    values = totals.shape[1]
    if level == "nominal":
        return np.broadcast_to(1.0 - np.eye(values), (len(totals), values, values))
    # From a value to the next lies half of both; squared, that is Krippendorff's ordinal difference.
    middle = np.cumsum(totals, axis=1) - totals / 2
    return (middle[:, :, None] - middle[:, None, :]) ** 2


def _resampled(patterns: Counts, times: Counts, level: Level, resamples: int) -> Floats:
    """How often each pattern is drawn: resamples x patterns, as drawing the pairs themselves would give it."""
    content = json.dumps([level, patterns.tolist(), times.tolist()])
    seed = int(hashlib.sha256(f"bootstrap:{content}".encode()).hexdigest()[:16], 16)
    n = int(times.sum())
    return np.random.default_rng(seed).multinomial(n, times / n, size=resamples).astype(np.float64)


def _interval(found: Floats) -> tuple[float | None, float | None]:
    defined = found[~np.isnan(found)]
    if len(defined) < (1 - MOST_UNDEFINED) * len(found):
        return None, None
    tail = (1 - CONFIDENCE) / 2
    low, high = np.quantile(defined, [tail, 1 - tail])
    return round(float(low), 4), round(float(high), 4)
