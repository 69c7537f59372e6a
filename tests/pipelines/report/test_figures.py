import json
from pathlib import Path

import pytest

from pipelines.report.figures import Figures, Flow, Yield


def test_yield_counts_written_and_dropped_candidates(small_dataset: Path) -> None:
    assert Figures(small_dataset).yields == [
        Yield("scenario", 331, 84),
        Yield("clip", 200, 14),
        Yield("random", 200, 9),
    ]


def test_a_method_that_found_nothing_gives_no_factor() -> None:
    assert Yield("scenario", 10, 5).factor_over(Yield("random", 10, 0)) is None


def test_thresholds_are_those_of_the_build(small_dataset: Path) -> None:
    manifest = json.loads((small_dataset / "manifest.json").read_text())
    manifest["configuration"]["select"] = {"min_joint": 1.0}
    (small_dataset / "manifest.json").write_text(json.dumps(manifest))
    assert [line.emergent for line in Figures(small_dataset).yields] == [0, 0, 0]


@pytest.mark.parametrize(
    ("scores", "emergent"),
    [
        ((0.1, 0.1, 0.9, 4.0), True),
        ((0.4, 0.1, 0.9, 4.0), False),
        ((0.1, 0.1, 0.8, 4.0), False),
        ((0.1, 0.1, 0.9, 1.9), False),
    ],
)
def test_all_three_thresholds_count(small_dataset: Path, scores: tuple[float, ...], emergent: bool) -> None:
    named = dict(zip(("p_image", "p_text", "p_joint", "emergence"), scores, strict=True))
    assert Figures(small_dataset).is_emergent(named) is emergent


def test_stages_come_in_the_order_of_the_build(small_dataset: Path) -> None:
    assert [flow.stage for flow in Figures(small_dataset).flows] == ["judge", "select", "ingest", "screen"]


def test_rows_that_came_out_nowhere_are_lost() -> None:
    assert Flow("screen", 10, 7, 2, 0).lost == 1


def test_a_score_that_could_not_be_taken_says_so(small_dataset: Path) -> None:
    manifest = json.loads((small_dataset / "manifest.json").read_text())
    manifest["scores"] = {"precision_held_out": {"value": None, "of": 0}}
    (small_dataset / "manifest.json").write_text(json.dumps(manifest))
    assert Figures(small_dataset).scores[0].value == "not measurable"


def test_a_stage_that_changes_the_number_of_rows_is_not_drawn(small_dataset: Path) -> None:
    figures = Figures(small_dataset)
    figures.manifest["counts"]["pair"] = {"in": 90, "kept": 900}
    assert "pair" not in [flow.stage for flow in figures.flows]


def test_the_balance_is_that_of_the_modalities(small_dataset: Path) -> None:
    assert "400 images in = 359 kept + 39 excluded + 2 failed" in Figures(small_dataset).balance()
