import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pipelines.stages.emergence import emergence, is_benign, is_emergent, judgement_of, logit
from schemas.config import Select
from schemas.records import Candidate, Judgement

PROBABILITY = st.floats(min_value=0, max_value=1)


def judged(p_image: float, p_text: float, p_joint: float, method: str = "scenario") -> Judgement:
    candidate = Candidate("id", "i", "t", "words", "train", method, 0.5)
    return judgement_of(candidate, p_image, p_text, p_joint, "judge")


@pytest.mark.parametrize(
    ("p_image", "p_text", "p_joint", "expected"),
    [(0.5, 0.5, 0.5, 0.0), (0.1, 0.5, 0.9, 2.1972), (0.2, 0.1, 0.8, 2.7726), (0.9, 0.1, 0.1, -4.3944)],
)
def test_emergence_agrees_with_hand_computed_numbers(
    p_image: float, p_text: float, p_joint: float, expected: float
) -> None:
    assert emergence(p_image, p_text, p_joint) == expected


def test_certain_probabilities_are_clipped() -> None:
    assert emergence(0, 0, 1) == round(2 * math.log(9999), 4)
    assert logit(0) == logit(1e-4)


@given(PROBABILITY, PROBABILITY, PROBABILITY)
def test_emergence_treats_image_and_text_alike_and_is_finite(a: float, b: float, joint: float) -> None:
    assert emergence(a, b, joint) == emergence(b, a, joint)
    assert math.isfinite(emergence(a, b, joint))


@given(PROBABILITY, PROBABILITY, PROBABILITY)
def test_a_reader_can_recompute_the_emergence_from_the_stored_probabilities(
    a: float, b: float, c: float
) -> None:
    judgement = judged(a, b, c)
    assert judgement.emergence == emergence(judgement.p_image, judgement.p_text, judgement.p_joint)


@given(PROBABILITY, PROBABILITY, PROBABILITY)
def test_no_pair_is_both_emergent_and_benign(a: float, b: float, c: float) -> None:
    assert not (is_emergent(judged(a, b, c), Select()) and is_benign(judged(a, b, c), Select()))


def test_a_harmful_part_makes_a_pair_neither_emergent_nor_benign() -> None:
    assert not is_emergent(judged(0.6, 0.1, 0.99), Select())
    assert not is_benign(judged(0.6, 0.1, 0.1), Select())
