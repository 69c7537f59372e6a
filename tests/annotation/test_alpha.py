"""Alpha is the published one, its resamples are the library's, and it says when there is none."""

import time

import krippendorff
import numpy as np
import pytest

from annotation.alpha import Counts, Level, alphas, count_answers, measure

PUBLISHED = (
    "1 2 3 3 2 1 4 1 2 . . .",
    "1 2 3 3 2 2 4 1 2 5 . 3",
    ". 3 3 3 2 3 4 2 2 5 1 .",
    "1 2 3 3 2 4 4 1 2 5 1 .",
)
"""Krippendorff (2011), section E: four observers, twelve units, missing values."""


def published() -> Counts:
    answers = [(f"{unit:02}", v) for row in PUBLISHED for unit, v in enumerate(row.split())]
    return count_answers(answers, ("1", "2", "3", "4", "5"))


def random_counts(pairs: int, values: int) -> Counts:
    rng = np.random.default_rng(3)
    likely = rng.dirichlet(np.full(values, 0.4), pairs)
    return np.array([rng.multinomial(rng.integers(1, 5), p) for p in likely])


def coincidences(counts: Counts) -> np.ndarray:
    some = counts[counts.sum(axis=1) >= 2].astype(float)
    return sum((np.outer(c, c) - np.diag(c)) / (c.sum() - 1) for c in some)


def test_the_published_example_has_the_published_alpha() -> None:
    found = measure(published(), "nominal")
    assert found.alpha == pytest.approx(0.743, abs=5e-4)
    assert (found.pairs, found.answers) == (11, 40)
    assert found.low is not None and found.high is not None and found.low < found.alpha < found.high


@pytest.mark.parametrize("level", ["nominal", "ordinal"])
def test_what_is_resampled_is_the_alpha_of_the_library(level: Level) -> None:
    stacks = [random_counts(80, 4), published()[:, :4], random_counts(12, 4)]
    ours = alphas(np.stack([coincidences(counts) for counts in stacks]), level)
    theirs = [krippendorff.alpha(value_counts=c, level_of_measurement=level) for c in stacks]
    assert ours == pytest.approx(theirs, abs=1e-12)


def test_the_interval_is_that_of_resampled_pairs() -> None:
    counts, rng = random_counts(150, 3), np.random.default_rng(1)
    counts = counts[counts.sum(axis=1) >= 2]
    drawn = [counts[rng.integers(0, len(counts), len(counts))] for _ in range(400)]
    plain = [krippendorff.alpha(value_counts=c, level_of_measurement="nominal") for c in drawn]
    found = measure(counts, "nominal")
    assert (found.low, found.high) == pytest.approx(np.quantile(plain, [0.025, 0.975]), abs=0.03)


def test_equal_answers_have_equal_intervals() -> None:
    counts = random_counts(60, 3)
    assert measure(counts, "nominal") == measure(counts[::-1], "nominal")


@pytest.mark.parametrize(
    ("counts", "why"),
    [([[3, 0], [2, 0]], "all answers are the same"), ([[1, 0], [0, 1]], "no pair has two answers")],
)
def test_an_alpha_that_is_not_defined_says_why(counts: list[list[int]], why: str) -> None:
    found = measure(np.array(counts), "nominal")
    assert (found.alpha, found.low, found.why) == (None, None, why)


def test_too_few_pairs_to_resample_have_no_interval() -> None:
    found = measure(np.array([[2, 0], [1, 1]]), "nominal")
    assert found.alpha is not None
    assert found.low is None


def test_a_thousand_resamples_of_three_thousand_pairs_take_seconds() -> None:
    started = time.perf_counter()
    measure(random_counts(3000, 14), "nominal")
    assert time.perf_counter() - started < 20
