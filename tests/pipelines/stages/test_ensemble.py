import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages import screen
from pipelines.stages.ensemble import Firing, verdict
from schemas.records import Score

MEMBERS = [Score("classifier:a", 0.7), Score("zero-shot:b", 0.1), Score("judge", 0.6)]
probabilities = st.lists(st.floats(0, 1).map(lambda p: round(p, 4)), min_size=1, max_size=5)


def _scores(values: list[float]) -> list[Score]:
    return [Score(f"member {number}", p) for number, p in enumerate(values)]


def test_any_names_the_highest_member_that_fires() -> None:
    assert verdict(MEMBERS, [0.8, 0.5, 0.6], "any", 0.0) == Firing(MEMBERS[2], 0.6)
    assert verdict(MEMBERS, [0.7, 0.5, 0.6], "any", 0.0) == Firing(MEMBERS[0], 0.7)


def test_any_keeps_an_asset_below_all_thresholds_whatever_its_mean() -> None:
    assert verdict(MEMBERS, [0.71, 0.11, 0.61], "any", 0.0) is None


def test_mean_fires_at_its_threshold_and_not_above_it() -> None:
    assert verdict(MEMBERS, [1, 1, 1], "mean", 0.4667) == Firing(Score("mean", 0.4667), 0.4667)
    assert verdict(MEMBERS, [1, 1, 1], "mean", 0.4668) is None


def test_mean_keeps_an_asset_for_which_one_member_alone_is_sure() -> None:
    scores = _scores([0.99, 0.1, 0.1])
    assert verdict(scores, [0.5] * 3, "any", 0.5) == Firing(scores[0], 0.5)
    assert verdict(scores, [0.5] * 3, "mean", 0.5) is None


def test_a_mean_is_not_pushed_off_its_threshold_by_floating_point() -> None:
    assert verdict(_scores([0.7, 0.7, 0.7]), [1] * 3, "mean", 0.7) == Firing(Score("mean", 0.7), 0.7)
    assert verdict(_scores([0.1, 0.2, 0.3]), [1] * 3, "mean", 0.2) == Firing(Score("mean", 0.2), 0.2)


@given(probabilities, st.randoms(use_true_random=False))
def test_a_mean_lies_between_its_members_and_does_not_follow_their_order(values: list[float], random) -> None:
    firing = verdict(_scores(values), [], "mean", 0.0)
    assert firing is not None
    assert min(values) <= firing.score.p <= max(values)
    assert verdict(_scores(random.sample(values, len(values))), [], "mean", 0.0) == firing


def test_no_members_fire_under_either_rule() -> None:
    assert verdict([], [], "any", 0.0) is None
    assert verdict([], [], "mean", 0.0) is None


def test_any_with_a_threshold_too_few_is_refused() -> None:
    with pytest.raises(ValueError, match="shorter"):
        verdict(MEMBERS, [0.5, 0.5], "any", 0.5)


def test_the_screen_stage_judges_by_the_same_function() -> None:
    assert screen.verdict is verdict
