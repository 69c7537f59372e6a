"""Calibration: what is over-confident is cooled, the order stays, and thresholds keep their promise."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.calibration import (
    Scaling,
    calibrate,
    expected_calibration_error,
    fit_scaling,
    fit_thresholds,
    reliability,
)

RANDOM = np.random.default_rng(5)
LOGITS = RANDOM.normal(0, 1.5, 4000)
LABELS = (RANDOM.random(4000) < 1 / (1 + np.exp(-LOGITS))).astype(float)
OVERCONFIDENT = 1 / (1 + np.exp(-3 * LOGITS))
IDS = [str(number) for number in range(4000)]


def test_what_was_tripled_and_shifted_is_found_again() -> None:
    found = fit_scaling(1 / (1 + np.exp(-(3 * LOGITS + 1.5))), LABELS)
    assert found.temperature == pytest.approx(3.0, rel=0.1)
    assert found.offset == pytest.approx(-0.5, abs=0.1)


def test_calibration_lowers_the_error_on_pairs_it_did_not_see() -> None:
    errors = calibrate(IDS, OVERCONFIDENT, LABELS, share=0.5, precision=0.8).errors()
    before, after = errors["expected calibration error"]
    assert before > 0.1
    assert after < before / 3
    assert errors["log loss"][1] < errors["log loss"][0]


def test_a_threshold_keeps_its_precision_and_is_the_lowest_that_does() -> None:
    found = fit_thresholds(OVERCONFIDENT, LABELS, 0.9)
    assert found.min_joint is not None and found.max_benign is not None
    assert LABELS[found.min_joint <= OVERCONFIDENT].mean() >= 0.9 - 1e-3
    assert LABELS[found.min_joint - 0.05 <= OVERCONFIDENT].mean() < 0.9
    assert LABELS[found.max_benign >= OVERCONFIDENT].mean() <= 0.1 + 1e-3


def test_a_threshold_is_even_odds_only_where_that_keeps_its_precision() -> None:
    p = np.array([0.9] * 2 + [0.8] * 8 + [0.45] * 10 + [0.1] * 10)
    labels = np.array([0.0] * 2 + [1.0] * 18 + [0.0] * 10)
    assert fit_thresholds(p, labels, 0.9).min_joint is None
    assert fit_thresholds(p, labels, 0.8).min_joint == 0.5


def test_where_no_threshold_is_good_enough_there_is_none() -> None:
    assert fit_thresholds(np.array([0.9, 0.8, 0.2]), np.array([0.0, 1.0, 0.0]), 0.95).min_joint is None


def test_the_error_is_the_gap_weighted_by_count() -> None:
    p, labels = np.array([0.9, 0.9, 0.9, 0.1]), np.array([1.0, 0.0, 0.0, 0.0])
    assert expected_calibration_error(p, labels) == pytest.approx(0.75 * (0.9 - 1 / 3) + 0.25 * 0.1)


@given(st.lists(st.tuples(st.floats(0, 1), st.booleans()), min_size=1))
def test_every_pair_is_in_one_bin(pairs: list[tuple[float, bool]]) -> None:
    p, labels = np.array([p for p, _ in pairs]), np.array([float(label) for _, label in pairs])
    assert sum(one.size for one in reliability(p, labels)) == len(pairs)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.1, 10), st.floats(-5, 5))
def test_a_scaling_keeps_the_order(p: float, q: float, temperature: float, offset: float) -> None:
    scaling = Scaling(temperature, offset)
    assert scaling.of(min(p, q)) <= scaling.of(max(p, q))


@given(st.floats(0, 1))
def test_the_neutral_scaling_changes_nothing(p: float) -> None:
    assert Scaling().of(p) == p


def test_pairs_of_one_kind_alone_cannot_be_fitted() -> None:
    with pytest.raises(ValueError, match="29 harmful and 0 benign ones"):
        calibrate(IDS[:50], OVERCONFIDENT[:50], np.ones(50), share=0.5, precision=0.9)


def test_a_judge_that_tells_all_pairs_apart_gets_thresholds_that_do_not_overlap() -> None:
    labels = np.repeat([0.0, 1.0], 50)
    for p in (np.concatenate([np.linspace(0.01, 0.1, 50), np.linspace(0.9, 0.99, 50)]), 0.4 + labels / 5):
        harmful, benign = fit_thresholds(p, labels, 0.9)
        assert harmful is not None and benign is not None
        assert benign < 0.5 <= harmful
