"""Adjudications are read again, unless they are of other annotations."""

from pathlib import Path

import pytest

from annotation.adjudicated import read_adjudicated, write_adjudicated
from annotation.answers import AnnotationsError, read_answers
from annotation.settle import settle
from tests.planted import Person, annotation, answer, pair_id, truth_of, write_annotations

PEOPLE = [Person("anna", 0.95, 0.95), Person("ben", 0.8, 0.9, 0.1)]


def test_what_was_written_is_read(dataset: Path) -> None:
    write_annotations(dataset, answer(truth_of(dataset), PEOPLE, per_pair=2))
    answers = read_answers(dataset)
    rows = settle(answers).rows
    write_adjudicated(dataset, rows, answers.digest)
    assert list(read_adjudicated(dataset).values()) == rows


def test_a_missing_adjudication_says_what_to_run(dataset: Path) -> None:
    with pytest.raises(AnnotationsError, match="annotation adjudicate"):
        read_adjudicated(dataset)


def test_an_adjudication_of_other_annotations_is_refused(dataset: Path) -> None:
    write_annotations(dataset, [annotation(pair_id(0, "benign"), "a", "no")])
    answers = read_answers(dataset)
    write_adjudicated(dataset, settle(answers).rows, answers.digest)
    write_annotations(dataset, [annotation(pair_id(0, "benign"), "a", "yes")])
    with pytest.raises(AnnotationsError, match="other annotations"):
        read_adjudicated(dataset)
