from dataclasses import dataclass
from math import log

import pytest

from pipelines.training.rewards.combination import LogSigmoid, Part
from pipelines.training.rewards.hybrid import Hybrid
from tests.pipelines.training.rewards.completions import HARM, batch

ROWS = batch([("", HARM)] * 3)


@dataclass(frozen=True)
class Given:
    """Scores that are known."""

    given: tuple
    bounds: tuple = (0.0, 1.0)

    def scores(self, batch):
        return list(self.given)


def test_the_sum_of_log_sigmoids_is_paid():
    first, second = Given((1.0, 0.5, None)), Given((0.0, None, None))
    scores = LogSigmoid((Part(first, 0.5), Part(second, 0.0))).scores(ROWS)
    assert scores == [pytest.approx(-0.474077 - 0.693147, abs=1e-6), pytest.approx(log(0.5)), None]


def test_sharpness_widens_the_differences():
    (score, *_) = LogSigmoid((Part(Given((1.0, 1.0, 1.0)), 0.5),), sharpness=10).scores(ROWS)
    assert score == pytest.approx(-0.006715, abs=1e-6)


def test_one_bad_property_is_not_made_up_for_by_a_good_one():
    even, uneven = Given((0.5, 0.5, 0.5)), Given((1.0, 1.0, 1.0))
    none = Given((0.0, 0.0, 0.0))
    both = LogSigmoid((Part(even, 0.5), Part(even, 0.5)), sharpness=5).scores(ROWS)[0]
    one = LogSigmoid((Part(uneven, 0.5), Part(none, 0.5)), sharpness=5).scores(ROWS)[0]
    assert one < both


def test_far_below_the_reference_scores_stay_finite():
    low = LogSigmoid((Part(Given((-1e4, 0.0, 0.0), (-1e4, 0.0)), 0.0),))
    assert low.scores(ROWS)[0] == pytest.approx(-1e4)
    assert low.bounds[0] == pytest.approx(-1e4)


def test_a_combination_of_nothing_is_refused():
    with pytest.raises(ValueError, match="at least one part"):
        LogSigmoid(())


def test_the_model_is_asked_where_the_rule_has_nothing_to_check():
    logged = {}
    rows = batch([("", HARM)] * 3, log=logged.__setitem__)
    hybrid = Hybrid(Given((1.0, None, None)), Given((0.3, 0.4, None), (-1.0, 0.5)))
    assert hybrid.scores(rows) == [1.0, 0.4, None]
    assert hybrid.bounds == (-1.0, 1.0)
    assert logged == {"hybrid/by_rule": pytest.approx(1 / 3)}
