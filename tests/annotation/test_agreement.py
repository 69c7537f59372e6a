"""`python -m annotation agreement`: what it leaves out, what it writes, and what it says of too little."""

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from annotation.__main__ import main
from annotation.agreement import verdict
from tests.planted import (
    Person,
    annotation,
    answer,
    pair_id,
    skip,
    truth_of,
    write_annotations,
    write_gold,
)

CAREFUL = [Person("anna", 0.95, 0.95), Person("ben", 0.9, 0.9, 0.05), Person("carla", 0.9, 0.95)]


def measured(dataset: Path) -> dict[str, Any]:
    assert main(["agreement", str(dataset)]) == 0
    found: dict[str, Any] = json.loads((dataset / "annotations" / "agreement.json").read_text())
    return found


def test_careful_people_agree_overall_and_by_hazard(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_annotations(dataset, answer(truth_of(dataset), CAREFUL, per_pair=3))
    found = measured(dataset)
    assert found["questions"]["verdict"]["alpha"] > 0.5
    assert set(found["hazards"]) == {"phy", "prv", "ncr", "none"}
    assert set(found["annotators"]) == {"anna", "ben", "carla"}
    assert "Harmful together" in capsys.readouterr().out


def test_gold_pairs_and_second_rounds_are_left_out_of_alpha(dataset: Path) -> None:
    rows = answer(truth_of(dataset), CAREFUL, per_pair=3)
    write_annotations(dataset, rows)
    before = measured(dataset)["questions"]
    gold = pair_id(9, "elsewhere")
    more = [annotation(gold, person.name, "yes") for person in CAREFUL]
    more += [annotation(pair, "expert", "yes", round=2) for pair in truth_of(dataset)]
    write_gold(dataset, {gold: "yes"})
    write_annotations(dataset, [*rows, *more, skip(rows[0].pair_id, "dora")])
    after = measured(dataset)
    assert after["questions"] == before
    assert after["left_out"] == {"gold": 3, "skipped": 1, "second round": 24, "not in the dataset": 0}
    assert after["annotators"]["anna"]["accuracy"]["joint_harmful"]["share"] == 1


def test_the_picture_and_the_figures_are_the_same_each_time(dataset: Path) -> None:
    write_annotations(dataset, answer(truth_of(dataset), CAREFUL, per_pair=2))
    written = [dataset / "annotations" / name for name in ("agreement.json", "agreement.png")]
    measured(dataset)
    first = [path.read_bytes() for path in written]
    measured(dataset)
    assert [path.read_bytes() for path in written] == first
    assert Image.open(written[1]).width > 600


def test_one_annotator_is_told_that_agreement_needs_two(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    write_annotations(dataset, answer(truth_of(dataset), CAREFUL[:1], per_pair=1))
    assert measured(dataset)["questions"]["verdict"]["alpha"] is None
    assert "one annotator only" in capsys.readouterr().out


def test_equal_answers_are_told_to_have_no_alpha(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write_annotations(dataset, answer(truth_of(dataset), CAREFUL, per_pair=3))
    assert measured(dataset)["questions"]["image_harmful"]["why"] == "all answers are the same"
    assert "all answers are the same: Image harmful alone" in capsys.readouterr().out


def test_nothing_to_measure_is_one_line_and_status_2(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["agreement", str(dataset)]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "annotation pull" in line


@pytest.mark.parametrize(
    ("image", "joint", "expected"),
    [
        ("no", "yes", "emergent"),
        ("no", "no", "benign"),
        ("yes", "yes", "harmful_alone"),
        ("unsure", "yes", "unsure"),
        ("no", "unsure", "unsure"),
    ],
)
def test_the_verdict_needs_benign_parts_and_a_harmful_whole(image: str, joint: str, expected: str) -> None:
    assert verdict(annotation("p", "a", joint, image_harmful=image)) == expected
