"""Annotations are read as they are, each person's last word, and unusable files are refused in one line."""

from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.answers import AnnotationsError, inputs_digest, read_answers, unknown_notice
from schemas.records import Region
from schemas.tables import annotation_schema
from tests.planted import annotation, pair_id, skip, write_annotations, write_gold

PAIR = pair_id(0, "emergent")


def test_what_was_written_is_read(dataset: Path) -> None:
    made = annotation(PAIR, "a", "yes", region=Region(0.1, 0.2, 0.3, 0.4))
    write_annotations(dataset, [made])
    assert read_answers(dataset).annotations == [made]


def test_who_answers_twice_has_changed_their_mind(dataset: Path) -> None:
    late = annotation(PAIR, "a", "no", updated="2026-02-01T00:00:00Z")
    write_annotations(dataset, [annotation(PAIR, "a", "yes"), late, annotation(PAIR, "a", "yes", round=2)])
    assert [(one.round, one.joint_harmful) for one in read_answers(dataset).annotations] == [
        (1, "no"),
        (2, "yes"),
    ]


def test_skips_and_the_other_round_are_no_answers(dataset: Path) -> None:
    write_annotations(dataset, [skip(PAIR, "a"), annotation(PAIR, "b"), annotation(PAIR, "b", round=2)])
    assert len(read_answers(dataset).of_dataset(1)) == 1


def test_pairs_that_are_nowhere_are_listed_and_gold_ones_are_not(dataset: Path) -> None:
    write_gold(dataset, {"g" * 64: "yes"})
    write_annotations(dataset, [annotation(id * 64, "a") for id in "fg"] + [annotation(PAIR, "a")])
    answers = read_answers(dataset)
    assert answers.unknown == {"f" * 64: 1}
    assert "f" * 16 in unknown_notice(answers)
    assert len(answers.annotations) == 2


def test_a_changed_answer_changes_the_digest(dataset: Path) -> None:
    write_annotations(dataset, [annotation(PAIR, "a", "yes")])
    before = inputs_digest(dataset)
    write_annotations(dataset, [annotation(PAIR, "a", "no")])
    assert inputs_digest(dataset) != before


def test_a_folder_without_pairs_is_no_dataset(tmp_path: Path) -> None:
    with pytest.raises(AnnotationsError, match="is not a dataset"):
        read_answers(tmp_path)


@pytest.mark.parametrize("written", [False, True])
def test_without_annotations_it_says_to_pull(written: bool, dataset: Path) -> None:
    if written:
        write_annotations(dataset, [])
    with pytest.raises(AnnotationsError, match="annotation pull"):
        read_answers(dataset)


def test_an_answer_that_is_none_is_refused(dataset: Path) -> None:
    write_annotations(dataset, [annotation(PAIR, "a", "maybe")])
    with pytest.raises(AnnotationsError, match="'maybe'"):
        read_answers(dataset)


def test_a_file_that_lacks_a_column_is_refused(dataset: Path) -> None:
    path = write_annotations(dataset, [annotation(PAIR, "a")])
    pq.write_table(pq.read_table(path).drop_columns(["severity"]), path)
    with pytest.raises(AnnotationsError, match="lacks the columns severity"):
        read_answers(dataset)


def test_a_file_that_is_no_parquet_is_refused(dataset: Path) -> None:
    write_annotations(dataset, []).write_bytes(b"not a table")
    with pytest.raises(AnnotationsError, match="cannot be read"):
        read_answers(dataset)


def test_gold_answers_are_yes_or_no(dataset: Path) -> None:
    write_annotations(dataset, [annotation(PAIR, "a")])
    write_gold(dataset, {PAIR: "perhaps"})
    with pytest.raises(AnnotationsError, match="neither yes nor no"):
        read_answers(dataset)


def test_nulls_are_read_as_nothing(dataset: Path) -> None:
    path = write_annotations(dataset, [])
    empty = dict.fromkeys(annotation_schema().names) | {
        "id": "1",
        "pair_id": PAIR,
        "annotator": "a",
        "round": 1,
    }
    pq.write_table(pa.Table.from_pylist([empty | {"skipped": True}], annotation_schema()), path)
    (read,) = read_answers(dataset).annotations
    assert (read.hazard, read.severity, read.region, read.gold) == ("", 0, None, False)
