"""`python -m annotation adjudicate`: what it writes, and which pairs it sends to an expert."""

import json
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from annotation import push
from annotation.__main__ import main
from annotation.queue import left_open
from schemas.tables import adjudication_schema
from tests.planted import Person, annotation, answer, pair_id, truth_of, write_annotations

PEOPLE = [Person("anna", 0.95, 0.95), Person("ben", 0.8, 0.9, 0.1), Person("carla", 0.9, 0.8)]
WRITTEN = ("adjudicated.parquet", "adjudication.json")


def test_the_table_has_its_schema_and_is_sorted(dataset: Path) -> None:
    write_annotations(dataset, answer(truth_of(dataset), PEOPLE, per_pair=3))
    assert main(["adjudicate", str(dataset)]) == 0
    table = pq.read_table(dataset / "annotations" / "adjudicated.parquet")
    assert table.schema.equals(adjudication_schema())
    assert table["pair_id"].to_pylist() == sorted(truth_of(dataset))


def test_equal_annotations_give_equal_bytes(dataset: Path) -> None:
    rows = answer(truth_of(dataset), PEOPLE, per_pair=3)
    read = []
    for order in (rows, rows):
        write_annotations(dataset, order)
        assert main(["adjudicate", str(dataset), "--method", "dawid_skene"]) == 0
        read.append([(dataset / "annotations" / name).read_bytes() for name in WRITTEN])
    assert read[0] == read[1]


def test_what_is_open_is_sent_to_an_expert(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    one, other = pair_id(0, "emergent"), pair_id(1, "emergent")
    tied = [annotation(one, "a", "yes"), annotation(one, "b", "no")]
    write_annotations(dataset, [*tied, annotation(other, "a", "yes"), annotation(other, "b", "yes")])
    assert main(["adjudicate", str(dataset)]) == 0
    assert left_open(dataset / "annotations") == {one}
    command = f"annotation push {dataset} --round 2 --url ADDRESS"
    assert command in capsys.readouterr().out
    assert push.parser().parse_args(command.split()[2:]).round == 2


def test_the_error_rates_are_written_by_annotator(dataset: Path) -> None:
    write_annotations(dataset, answer(truth_of(dataset), PEOPLE, per_pair=3))
    assert main(["adjudicate", str(dataset), "--method", "dawid_skene"]) == 0
    found = json.loads((dataset / "annotations" / "adjudication.json").read_text())
    assert found["error_rates"]["joint_harmful"]["anna"]["yes"]["yes"] > 0.5
    assert found["min_confidence"] == 0.9


def test_a_confidence_below_a_half_is_refused(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["adjudicate", str(dataset), "--min-confidence", "0.3"]) == 2
    assert "between 0.5 and 1" in capsys.readouterr().err


def test_without_annotations_it_is_one_line_and_status_2(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["adjudicate", str(dataset)]) == 2
    assert len(capsys.readouterr().err.splitlines()) == 1
