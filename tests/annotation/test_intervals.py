"""Shares carry the interval of Wilson."""

import pytest

from annotation.intervals import rate


def test_the_interval_is_wilsons() -> None:
    # Newcombe (1998), table I: 81 of 263 and 15 of 148, score method without correction for continuity.
    assert rate(81, 263)[3:] == pytest.approx((0.2553, 0.3662), abs=1e-4)
    assert rate(15, 148)[3:] == pytest.approx((0.0624, 0.1605), abs=1e-4)


def test_a_share_of_nothing_is_none() -> None:
    assert rate(0, 0) == (0, 0, None, None, None)
