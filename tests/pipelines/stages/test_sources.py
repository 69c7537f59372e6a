from collections.abc import Iterator
from itertools import groupby
from pathlib import Path
from typing import Any

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner

from generators.corpora import open_texts
from pipelines.progress import Tally, read_progress
from pipelines.stages.sources import CHUNK, ReadRows
from schemas.records import Provenance, RawAsset

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


class _Parts:
    """Three parts of one chunk and a half each, and one of three rows."""

    def rows(self) -> Iterator[RawAsset]:
        for part, size in enumerate((CHUNK * 3 // 2,) * 3 + (3,)):
            for row in range(size):
                yield RawAsset(f"{part}:{row}", Provenance("parts", f"{part} {row}", "retrieved"))


def _first(locator: str) -> str:
    return locator.partition(":")[0]


def test_rows_of_one_part_stay_together_in_order() -> None:
    _collected.clear()
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        rows = pipeline | ReadRows(_Parts(), 10_000, Tally("", "ingest"), _first)
        _ = rows["kept"] | beam.Map(_collect)
    parts = [_first(row.locator) for row in _collected]
    assert len([part for part, _ in groupby(parts)]) == len(set(parts)) == 4
    for part in set(parts):
        read = [int(row.locator.partition(":")[2]) for row in _collected if _first(row.locator) == part]
        assert read == sorted(read)


def test_the_limit_takes_the_first_rows(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_text("a\nb\nc\n")
    assert {row.locator.strip() for row in _read(tmp_path / "t.txt", 2)} == {"a", "b"}


def test_rows_dropped_while_listing_are_counted(tmp_path: Path) -> None:
    (tmp_path / "t.txt").write_bytes(b"good\n\xff\n")
    _read(tmp_path / "t.txt", 10, str(tmp_path / "run"))
    assert read_progress(tmp_path / "run") == {"ingest": {"expected": 2, "in": 1, "excluded": 1}}
