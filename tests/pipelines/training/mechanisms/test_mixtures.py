"""Mixtures: the fit through seed runs, its best point, and training sets drawn by weights."""

from collections import Counter

import pytest

from pipelines.training.mechanisms.mixtures import SeedRun, draw, fit, seed_mixtures
from pipelines.training.mechanisms.settings import Mechanisms, Mixture
from pipelines.training.mechanisms.training_set import prepared
from tests.pipelines.training.mechanisms.runs import logged, scenes, trained


def runs_of(score, domains=("a", "b", "c")):
    return [SeedRun(mixture, score(**mixture)) for mixture in seed_mixtures(domains)]


def test_seed_mixtures_are_each_domain_and_each_two():
    assert seed_mixtures(["a", "b"]) == [{"a": 1, "b": 0}, {"a": 0, "b": 1}, {"a": 0.5, "b": 0.5}]
    assert len(seed_mixtures("abcd")) == 10


def test_the_best_point_of_two_domains_is_that_of_the_parabola():
    # a + 2b + 2ab = 2 + a - 2a^2 on a + b = 1, greatest at a = 1/4 with 2.125.
    found = fit(runs_of(lambda a, b: a + 2 * b + 2 * a * b, "ab"))
    assert found.best == pytest.approx({"a": 0.25, "b": 0.75}, abs=1e-5)
    assert found.predicted == pytest.approx(2.125)
    assert found.residual == pytest.approx(0, abs=1e-9)


def test_a_quadratic_with_a_constant_and_squares_is_fitted_too():
    # -(a - 0.2)^2 - (b - 0.5)^2 - (c - 0.3)^2 is greatest at that mixture, with 0.
    found = fit(runs_of(lambda a, b, c: -((a - 0.2) ** 2) - (b - 0.5) ** 2 - (c - 0.3) ** 2))
    assert found.best == pytest.approx({"a": 0.2, "b": 0.5, "c": 0.3}, abs=1e-4)
    assert found.predicted == pytest.approx(0, abs=1e-7)


def test_the_best_point_can_be_a_corner():
    assert fit(runs_of(lambda a, b, c: a + 3 * b + 2 * c - a * c)).best["b"] == pytest.approx(1)


def test_domains_that_hinder_each_other_are_not_mixed():
    # Between the corners 1.0 and 1.1 lies a valley; a search from the middle alone could end in either.
    found = fit(runs_of(lambda a, b: a + 1.1 * b - 4 * a * b, "ab"))
    assert found.best == pytest.approx({"a": 0, "b": 1}, abs=1e-6)


def test_noise_shows_as_residual():
    exact = runs_of(lambda a, b: a + b, "ab")
    again = [run._replace(score=run.score + 0.2) for run in exact]
    found = fit(exact + again)
    assert (found.residual, found.predicted) == pytest.approx((0.1, 1.1))


def test_too_few_runs_are_refused_with_the_number_needed():
    with pytest.raises(ValueError, match="3 domains need at least 6 seed runs, and there are 5"):
        fit(runs_of(lambda a, b, c: a)[:5])


def test_runs_that_are_too_much_alike_are_refused():
    with pytest.raises(ValueError, match="too much alike: they determine 1 of 3 terms"):
        fit([SeedRun({"a": 0.5, "b": 0.5}, 1.0)] * 3)


@pytest.mark.parametrize(
    ("weights", "score"),
    [({"a": 0.5, "b": 0.6}, 1.0), ({"a": 1.5, "b": -0.5}, 1.0), ({"a": 0.5, "b": 0.5}, float("nan"))],
)
def test_what_is_no_mixture_with_a_score_is_refused(weights, score):
    with pytest.raises(ValueError, match="not a mixture with a score"):
        fit([SeedRun(weights, score)])


def test_runs_of_other_domains_and_no_runs_are_refused():
    with pytest.raises(ValueError, match="runs have the domains"):
        fit([SeedRun({"a": 1.0}, 1.0), SeedRun({"b": 1.0}, 1.0)])
    with pytest.raises(ValueError, match="no seed runs"):
        fit([])


def test_a_drawn_set_has_the_asked_shares():
    domains = ["a"] * 10 + ["b"] * 20 + ["c"] * 30
    drawn = draw(domains, {"a": 1, "b": 2, "c": 0}, 10)
    assert Counter(domains[row] for row in drawn) == {"a": 3, "b": 7}
    assert len(set(drawn)) == 10
    assert len(draw(domains, {"a": 1, "b": 1})) == 60


def test_rows_repeat_evenly_where_a_domain_is_small():
    assert Counter(draw(["a", "a", "b"], {"a": 1}, 6)) == {0: 3, 1: 3}


def test_a_domain_without_rows_is_refused():
    with pytest.raises(ValueError, match="no rows of d, e"):
        draw(["a"], {"a": 1, "e": 0.5, "d": 1})
    with pytest.raises(ValueError, match="no weight is above 0"):
        draw(["a"], {"a": 0})


def test_a_run_trains_on_the_mixture(tmp_path):
    given = scenes(8).add_column("role", ["emergent", "benign"] * 4)
    settings = Mechanisms(mixture=Mixture(weights={"emergent": 3, "benign": 1}))
    mixed = prepared(given, settings, tmp_path, "train")
    assert Counter(mixed["role"]) == {"emergent": 6, "benign": 2}
    run = trained(tmp_path, settings, examples=mixed)
    assert len(logged(run, "loss")) == 3
