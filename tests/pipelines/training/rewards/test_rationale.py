import numpy as np
import pytest

from pipelines.training.embedders import load_embedder
from pipelines.training.rewards.rationale import Rationale
from tests.pipelines.training.rewards.completions import HARM, THINK, answer, batch, right, wrong

OWN = "the first reason"


def plane(texts):
    """Vectors of a plane: the rationale of the answer at 0 degrees, the references at 60 and 90."""
    angles = {OWN: 0, "near": np.pi / 3, "far": np.pi / 2}
    return np.array([[np.cos(angles[text]), np.sin(angles[text])] for text in texts])


@pytest.mark.parametrize(("chance", "score"), [(0.0, 0.5), (0.2, 0.375), (0.6, 0.0)])
def test_the_cosine_to_the_nearest_reference_above_chance_is_paid(chance, score):
    example = HARM._replace(references=("far", "near"))
    read = batch([(answer("harmful", THINK["harm"], OWN), example)])
    assert Rationale(plane, chance).scores(read) == [pytest.approx(score)]


def test_only_right_answers_are_embedded():
    def nothing(texts):
        raise AssertionError(texts)

    assert Rationale(nothing).scores(batch([(wrong(HARM), HARM), ("", HARM)])) == [0.0, 0.0]


def test_a_chance_that_leaves_nothing_to_earn_is_refused():
    with pytest.raises(ValueError, match="`chance` is 1"):
        Rationale(plane, 1)


def test_the_text_tower_of_tinyworld_tells_a_reference_from_another():
    clip = load_embedder("builtin:tinyworld/clip")
    others = "The picture shows a car, which is a vehicle, and the text sells it: that is theft."
    vectors = clip([HARM.references[0], HARM.references[0], others])
    assert np.linalg.norm(vectors, axis=1) == pytest.approx(np.ones(3), abs=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]
    assert Rationale(clip).scores(batch([(right(HARM), HARM)]))[0] > 0.2
