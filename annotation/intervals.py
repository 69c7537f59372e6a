"""Shares with their intervals."""

from __future__ import annotations

from typing import NamedTuple


class Rate(NamedTuple):
    """A share with Wilson's 95 % interval; all three in [0, 1], and None for a share of nothing."""

    right: int
    of: int
    share: float | None
    low: float | None
    high: float | None


def rate(right: int, of: int) -> Rate:
    """The share `right` / `of` (Wilson, 1927, without correction for continuity), to 4 decimals."""
    if not of:
        return Rate(right, of, None, None, None)
    from scipy.stats import binomtest

    interval = binomtest(right, of).proportion_ci(confidence_level=0.95, method="wilson")
    return Rate(
        right, of, round(right / of, 4), round(float(interval.low), 4), round(float(interval.high), 4)
    )
