from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from generators.corpora import open_texts
from pipelines.progress import Tally, read_progress
from pipelines.stages.sources import CHUNK, ReadRows

_collected: list[Any] = []


def _collect(row: Any) -> None:
    _collected.append(row)


def _read(path: Path, limit: int, run: str = "") -> list[Any]:
    _collected.clear()
    tally = Tally(run, "ingest")
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        rows = pipeline | ReadRows(open_texts(str(path)), limit, tally)
        _ = list(rows.values()) | beam.Flatten() | beam.Map(_collect)
    tally.flush()
    return list(_collected)


@pytest.mark.parametrize("count", [0, 1, CHUNK, CHUNK + 1, 3 * CHUNK])
def test_every_row_comes_out_once_whatever_the_chunks(tmp_path: Path, count: int) -> None:
    (tmp_path / "t.txt").write_text("".join(f"text {n}\n" for n in range(count)))
    names = [row.provenance.name for row in _read(tmp_path / "t.txt", 10_000)]
    assert sorted(names) == sorted(f"line {n + 1}" for n in range(count))


def test_the_limit_takes_the_first_rows(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a\nb\nc\n")
    assert {row.locator.strip() for row in _read(tmp_path / "t.txt", 2)} == {"a", "b"}


def test_rows_dropped_while_listing_are_counted(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"good\n\xff\n")
    _read(tmp_path / "t.txt", 10, str(tmp_path / "run"))
    assert read_progress(tmp_path / "run") == {"ingest": {"expected": 2, "in": 1, "excluded": 1}}
