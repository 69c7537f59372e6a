from __future__ import annotations

import numpy as np
import pytest

from pipelines.training.evaluation.bootstrap import Estimate, difference, draw, estimate
from pipelines.training.evaluation.measures import contrast_accuracy, mean_of, verdict_measures
from tests.pipelines.training.evaluation.made_up import contrast_sets

RIGHT, WRONG = ("harmful", "benign"), ("benign", "benign")


def test_rows_of_a_cluster_are_drawn_together() -> None:
    draws = draw(["a", "b", "a", "c"], "seed")
    assert (draws[:, 0] == draws[:, 2]).all()
    assert (draws[:, 0] + draws[:, 1] + draws[:, 3] == 3).all()


def test_the_same_seed_draws_the_same() -> None:
    assert (draw(["a", "b"], "seed") == draw(["a", "b"], "seed")).all()
    assert (draw(list("abcdef"), "seed") != draw(list("abcdef"), "other")).any()


def test_copies_of_rows_do_not_narrow_the_interval() -> None:
    values = np.random.default_rng(0).random(40)
    once = estimate(mean_of(values), draw([str(n) for n in range(40)], "seed"))
    copied = estimate(
        mean_of(np.repeat(values, 9)), draw([str(n) for n in range(40) for _ in range(9)], "seed")
    )
    assert copied == once


def test_an_interval_is_that_of_the_mean_of_independent_rows() -> None:
    values = np.random.default_rng(1).normal(size=400)
    found = estimate(mean_of(values), draw([str(n) for n in range(400)], "seed"))
    error = 1.96 * values.std() / 20
    assert found.value == pytest.approx(values.mean(), abs=1e-4)
    assert found.low == pytest.approx(values.mean() - error, abs=0.02)
    assert found.high == pytest.approx(values.mean() + error, abs=0.02)


def test_what_cannot_be_measured_has_no_estimate() -> None:
    draws = draw(["a", "b"], "seed")
    assert estimate(mean_of([np.nan, np.nan]), draws) == Estimate(None, None, None)


@pytest.mark.parametrize("measure", ["contrast_accuracy", "f1"])
def test_a_planted_difference_has_an_interval_above_zero(measure: str) -> None:
    better = contrast_sets([RIGHT] * 80 + [WRONG] * 20)
    worse = contrast_sets([RIGHT] * 70 + [WRONG] * 30)
    draws = draw([row.cluster for row in better], "seed")
    found = difference(verdict_measures(better)[measure], verdict_measures(worse)[measure], draws)
    assert found.value is not None and found.low is not None
    assert found.value > 0 and found.low > 0


@pytest.mark.parametrize("measure", ["contrast_accuracy", "f1"])
def test_no_difference_has_an_interval_around_zero(measure: str) -> None:
    one = contrast_sets([RIGHT] * 80 + [WRONG] * 10 + [RIGHT] * 10)
    other = contrast_sets([RIGHT] * 80 + [RIGHT] * 10 + [WRONG] * 10)
    draws = draw([row.cluster for row in one], "seed")
    found = difference(verdict_measures(one)[measure], verdict_measures(other)[measure], draws)
    assert found.low is not None and found.high is not None
    assert found.value == 0 and found.low < 0 < found.high


def test_pairing_narrows_the_interval_of_models_that_agree() -> None:
    one = contrast_sets([RIGHT] * 60 + [WRONG] * 40)
    other = contrast_sets([RIGHT] * 55 + [WRONG] * 45)
    clusters = [row.cluster for row in one]
    paired = difference(contrast_accuracy(one), contrast_accuracy(other), draw(clusters, "seed"))
    alone = [estimate(contrast_accuracy(rows), draw(clusters, "seed")) for rows in (one, other)]
    assert paired.low is not None and paired.high is not None
    assert paired.high - paired.low < min((a.high or 0) - (a.low or 0) for a in alone) / 1.5
