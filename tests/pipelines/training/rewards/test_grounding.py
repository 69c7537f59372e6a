import pytest

from pipelines.training.rewards.facts import FactHits
from pipelines.training.rewards.grounding import Grounding
from tests.pipelines.training.rewards.completions import BENIGN, HARM, THINK, answer, batch


def grounding(rationale, verdict="harmful"):
    (score,) = Grounding().scores(batch([(answer(verdict, THINK["harm"], rationale), HARM)]))
    return score


@pytest.mark.parametrize(
    ("rationale", "score"),
    [
        ("Detergent from the jug is poured into soup.", 1.0),
        ("Detergent is poured into soup.", 0.5),
        ("Detergent from the jug ends up in the soup.", 0.5),
        ("Whoever drinks from the detergent jug dies.", 0.0),
        ("Somebody pours something bad into soup.", 0.0),
        (f"The detergent jug is dangerous here. {HARM.text}", 0.0),
    ],
)
def test_the_shares_of_both_modalities_are_multiplied(rationale, score):
    assert grounding(rationale) == score


def test_a_rationale_beside_the_wrong_verdict_is_not_paid():
    assert grounding("Detergent from the jug is poured into soup.", "benign") == 0


def test_a_reference_that_names_both_by_their_words_is_fully_grounded():
    assert grounding(HARM.references[0]) == 1


@pytest.mark.parametrize(
    ("think", "score"),
    [
        ("There is a jug of detergent in what could be a garage.", 1.0),
        ("There is a jug of detergent on the floor.", 0.5),
        ("There is a jug on the floor.", 0.0),
    ],
)
def test_the_share_of_facts_stated_is_paid(think, score):
    assert FactHits().scores(batch([(answer("harmful", think, "It burns the throat."), HARM)])) == [score]


def test_the_caption_that_is_covered_best_counts():
    example = BENIGN._replace(image_says=("a gramophone record in a hall", "vinyl record"))
    think = "I see one vinyl record and nothing that could hurt."
    assert FactHits().scores(batch([(answer("benign", think), example)])) == [1.0]


def test_a_picture_of_which_nothing_is_known_has_no_score():
    example = HARM._replace(image_says=())
    assert FactHits().scores(batch([(answer("benign", "Nothing to see here."), example)])) == [None]
