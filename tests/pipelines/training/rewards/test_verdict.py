import pytest

from pipelines.training.rewards.contrast import Contrast
from pipelines.training.rewards.hazard import Hazard
from pipelines.training.rewards.verdict import Verdict
from tests.pipelines.training.rewards.completions import (
    BENIGN,
    HARM,
    THINK,
    WHY,
    answer,
    batch,
    right,
    wrong,
)

THIRD = BENIGN._replace(id="third", role="contrast_text")


def test_only_the_right_verdict_is_paid():
    pairs = [(right(HARM), HARM), (wrong(HARM), HARM), (right(BENIGN), BENIGN), (wrong(BENIGN), BENIGN)]
    assert Verdict().scores(batch(pairs)) == [1, 0, 1, 0]


def test_the_hazard_has_to_be_the_right_one_and_is_asked_of_harmful_pairs_alone():
    other = answer("harmful", THINK["harm"], WHY, "prv")
    pairs = [(right(HARM), HARM), (other, HARM), (wrong(HARM), HARM), (right(BENIGN), BENIGN)]
    assert Hazard().scores(batch(pairs)) == [1, 0, 0, None]


def test_a_harmful_pair_of_unknown_hazard_has_no_score():
    assert Hazard().scores(batch([(right(HARM), HARM._replace(hazard=""))])) == [None]


def test_a_right_answer_earns_the_chance_that_all_partners_are_right_too():
    pairs = [
        *((right(HARM), HARM), (wrong(HARM), HARM)),
        *((right(BENIGN), BENIGN), (right(BENIGN), BENIGN), (right(BENIGN), BENIGN), ("", BENIGN)),
        *((right(THIRD._replace(id="benign")), THIRD), (wrong(THIRD), THIRD)),
    ]
    scores = Contrast().scores(batch(pairs))
    assert scores[:2] == [pytest.approx(0.75 * 0.5), 0]
    assert scores[2:6] == [0.25, 0.25, 0.25, 0]
    assert scores[6:] == [0.5 * 0.75, 0]


def test_always_saying_harmful_earns_nothing_in_a_contrast_set():
    said = answer("harmful", THINK["harm"], WHY)
    assert Contrast().scores(batch([(said, HARM), (said, BENIGN)])) == [0, 0]


def test_an_example_without_partners_in_the_batch_has_no_score():
    alone = HARM._replace(contrast_group="")
    other = HARM._replace(id="other", contrast_group="other")
    pairs = [(right(HARM), alone), (right(HARM), other), (right(HARM), other)]
    assert Contrast().scores(batch(pairs)) == [None, None, None]
