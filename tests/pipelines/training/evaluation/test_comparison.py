from __future__ import annotations

import json
import re
from collections import Counter
from io import StringIO
from itertools import chain
from pathlib import Path
from typing import Any

import pytest
from PIL import Image
from rich.console import Console

from pipelines.training.evaluation.benchmarks import Benchmark, Failure
from pipelines.training.evaluation.comparison import (
    Compared,
    compare_models,
    tables_of,
    write_comparison,
    write_metrics,
)
from pipelines.training.evaluation.items import Item
from pipelines.training.evaluation.loading import Contestant
from pipelines.training.evaluation.predictions import Prediction, read_predictions, write_predictions
from pipelines.training.evaluation.rationales import Readers
from tests.pipelines.training.evaluation.made_up import contrast_sets, example

RIGHT, WRONG = ("harmful", "benign"), ("benign", "benign")
GOOD, POOR = [RIGHT] * 18 + [WRONG] * 2, [RIGHT] * 8 + [WRONG] * 12
SAID = "The picture shows a mushroom that poisons, and the text says to bite it."
JUDGE, CLIP = "builtin:tinyworld/judge", "builtin:tinyworld/clip"
SFT, PROBE = Contestant("sft", JUDGE, "run", {}), Contestant("CLIP probe", CLIP, "probe", {})


def said(rows: list[Prediction]) -> list[Prediction]:
    return [row._replace(rationale=SAID) if row.verdict == row.expected == "harmful" else row for row in rows]


def items(rows: list[Prediction]) -> list[Item]:
    made = []
    for row in rows:
        harmful = row.expected == "harmful"
        pair = example(id=row.id, verdict=row.expected, contrast_group=row.contrast_group)
        pair = pair if harmful else pair._replace(hazard="", mechanism="", references=())
        made.append(Item(pair, "test", row.cluster, lambda: Image.new("RGB", (8, 8)), None))
    return made


@pytest.fixture(scope="module")
def compared() -> dict[str, Compared]:
    rows = {"CLIP probe": contrast_sets(POOR), "sft": said(contrast_sets(GOOD))}
    return compare_models([PROBE, SFT], {"test": items(contrast_sets(GOOD))}, rows, Readers())


def test_each_model_has_its_figures(compared: dict[str, Compared]) -> None:
    sft = compared["test"].models["sft"]
    assert (sft.rows, sft.contrast_sets, sft.unparsed) == (40, 20, 0)
    assert sft.measures["contrast_accuracy"].value == 0.9 and sft.measures["recall"].value == 0.9
    assert sft.measures["rouge_l"].value == 0.9, "a rationale that is missing counts 0"
    assert sft.measures["grounding"].value == 0.9 and sft.measures["hazard"].value == 1.0
    assert compared["test"].references["grounding"].value == 1.0


def test_benign_partners_are_counted_to_the_hazard_of_their_set(compared: dict[str, Compared]) -> None:
    by = compared["test"].models["sft"].by
    assert by["hazard"]["phy"]["rows"] == 40 and by["mechanism"]["poisoning"]["rows"] == 40
    assert by["provenance"]["generated+generated"]["measures"]["contrast_accuracy"].value == 0.9


def test_the_difference_is_of_the_later_model_over_the_earlier(compared: dict[str, Compared]) -> None:
    (found,) = compared["test"].differences
    assert (found.model, found.minus) == ("sft", "CLIP probe")
    assert found.measures["contrast_accuracy"].value == 0.5 and (found.measures["f1"].low or 0) > 0


def test_what_writes_nothing_has_no_rationales(compared: dict[str, Compared]) -> None:
    probe = compared["test"].models["CLIP probe"].measures
    assert "rouge_l" not in probe and "f1_image_only" not in probe
    assert "grounding" not in compared["test"].differences[0].measures


def test_the_table_shows_values_with_their_intervals(compared: dict[str, Compared], tmp_path: Path) -> None:
    first, second = tables_of(compared)
    write_comparison(tmp_path / "comparison.md", [first, second])
    text = (tmp_path / "comparison.md").read_text(encoding="utf-8")
    assert "## test (40 pairs, 20 contrast sets)" in text and "## test: paired differences" in text
    line = next(line for line in text.splitlines() if line.startswith("| sft |"))
    trivial = next(line for line in text.splitlines() if line.startswith("| everything harmful |"))
    assert trivial.startswith("| everything harmful | 0.667 | 0.500 | 1.000 | 0.500 | 0.500 |")
    assert "| the references |" in text
    assert "| 0.900 [0." in line
    assert "| sft - CLIP probe | +" in text
    probe = next(line for line in text.splitlines() if line.startswith("| CLIP probe |"))
    assert probe.endswith("| - |") and len(probe.split("|")) == len(line.split("|"))


@pytest.mark.parametrize("models", [2, 5])
def test_a_terminal_of_80_columns_shows_every_figure_whole(models: int) -> None:
    rows = {f"model {number} [tuned]": said(contrast_sets(GOOD)) for number in range(models)}
    contestants = [Contestant(name, JUDGE, "run", {}) for name in rows]
    for table in tables_of(
        compare_models(contestants, {"test": items(contrast_sets(GOOD))}, rows, Readers())
    ):
        console = Console(width=80, file=StringIO(), record=True)
        console.print(table.rich())
        shown = console.export_text()
        figures = Counter(re.findall(r"[+-]?\d\.\d{3}", " ".join(chain(*table.lines))))
        assert Counter(re.findall(r"[+-]?\d\.\d{3}", shown)) == figures, shown
        assert "…" not in shown and all(word in shown for name in table.head for word in name.split())


def test_a_part_of_harmful_pairs_alone_says_so_and_has_no_f1() -> None:
    rows = [row._replace(hazard="Privacy") for row in said(contrast_sets(GOOD)) if row.expected == "harmful"]
    (table,) = tables_of(compare_models([SFT], {"test": items(rows)}, {"sft": rows}, Readers()))
    assert table.title.startswith(f"test ({len(rows)} pairs, all harmful")
    assert "recall" in table.head and not {"F1", "precision", "hazard"} & set(table.head)


def test_the_metrics_are_json_and_say_what_failed(compared: dict[str, Compared], tmp_path: Path) -> None:
    failed = [Failure("rows.jsonl:2", "missing_image", "x.png"), Failure("rows.jsonl:3", "bad_json", "")]
    benchmark = Benchmark("folder:x", items(contrast_sets([RIGHT])), failed, 4)
    path = tmp_path / "metrics.json"
    write_metrics(path, {"seed": 0}, [PROBE, SFT], compared, [benchmark])
    facts: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    assert facts["parts"]["test"]["models"]["sft"]["measures"]["recall"]["value"] == 0.9
    assert facts["benchmarks"]["folder:x"] == {
        "rows": 4,
        "usable": 2,
        "failed": {"bad_json": 1, "missing_image": 1},
    }
    assert facts["models"]["sft"]["weights"].startswith("judge@")
    assert str(tmp_path) not in path.read_text(encoding="utf-8")


def test_predictions_are_read_as_they_were_written_and_written_alike(tmp_path: Path) -> None:
    rows = [row._replace(masked="benign", p_image_only=0.25) for row in contrast_sets(GOOD)] + contrast_sets(
        POOR
    )
    for name in ("one", "other"):
        write_predictions(tmp_path / f"{name}.parquet", rows)
    assert read_predictions(tmp_path / "one.parquet") == rows
    assert (tmp_path / "one.parquet").read_bytes() == (tmp_path / "other.parquet").read_bytes()
