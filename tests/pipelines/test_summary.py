import io
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from pipelines.summary import print_summary
from schemas.tables import failed_schema


def _summary(dataset: Path) -> str:
    console = Console(file=io.StringIO(), width=120)
    print_summary(dataset, console)
    return console.file.getvalue()


def _line(text: str, start: str) -> list[str]:
    found = next(line for line in text.splitlines() if line.strip("│ ").startswith(start))
    return [cell.strip() for cell in found.strip("│").split("│")]


def test_pairs_are_counted_by_hazard_and_split(small_dataset: Path) -> None:
    assert _line(_summary(small_dataset), "Physical danger") == ["Physical danger", "7", "2", "2", "2", "13"]


def test_all_roles_are_counted(small_dataset: Path) -> None:
    assert _line(_summary(small_dataset), "all pairs") == ["all pairs", "152", "31", "46", "46", "275"]


def test_the_yield_stands_beside_its_baselines(small_dataset: Path) -> None:
    text = _summary(small_dataset)
    assert _line(text, "Scenario-guided") == ["Scenario-guided", "331", "84", "25.4%", ""]
    assert _line(text, "Random pairing") == ["Random pairing", "200", "9", "4.5%", "5.6×"]


def test_exclusions_and_failures_have_their_reasons(small_dataset: Path) -> None:
    text = _summary(small_dataset)
    assert _line(text, "ingest") == ["ingest", "image", "too_small", "8"]
    assert "UnidentifiedImageError" in text


def test_the_commonest_errors_are_quoted_and_the_others_counted(small_dataset: Path) -> None:
    said = ["the server cannot be reached: check that it runs"] * 3 + [f"cannot read {n}" for n in range(4)]
    rows = [
        {"modality": "text", "id": "", "name": "n", "stage": "judge", "error": "E", "detail": m} for m in said
    ]
    path = next((small_dataset / "failed").glob("*.parquet"))
    pq.write_table(pa.Table.from_pylist(rows, failed_schema()), path)
    text = _summary(small_dataset)
    assert "3 x the server cannot be reached: check that it runs" in text
    assert "1 x cannot read 1" in text and "cannot read 2" not in text
    assert "and 2 other messages" in text and "same command again" in text


def test_notices_come_first(small_dataset: Path) -> None:
    assert "they mean nothing" in "".join(_summary(small_dataset).splitlines()[:3])


def test_scores_are_shown_with_how_many_they_are_of(small_dataset: Path) -> None:
    assert _line(_summary(small_dataset), "Pairs written as emergent")[1:] == ["93.4%", "72"]


def test_rows_that_are_missing_are_called_out(small_dataset: Path) -> None:
    manifest = json.loads((small_dataset / "manifest.json").read_text())
    manifest["rows"]["text"]["written"] -= 1
    (small_dataset / "manifest.json").write_text(json.dumps(manifest))
    assert "Rows are not accounted for" in _summary(small_dataset)


def test_the_ending_says_how_to_load_the_dataset(small_dataset: Path) -> None:
    assert f'datasets.load_dataset("{small_dataset}")' in _summary(small_dataset)


def test_where_no_pair_was_written_there_is_nothing_to_load(small_dataset: Path) -> None:
    for shard in (small_dataset / "data").iterdir():
        shard.unlink()
    said = _summary(small_dataset)
    assert "load_dataset" not in said
    assert "No pair was written." in said and "Most rows were dropped in" in said


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"manifest\.json is missing"):
        print_summary(tmp_path, Console(file=io.StringIO()))
