"""Spill: every record is in the group of its key once, also when a bundle is run a second time."""

import uuid
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.options.pipeline_options import PipelineOptions
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that, equal_to

from pipelines.stages.spill import BATCH, Spill
from pipelines.storage.spill import Group, SpillFile, Value


def _value(number: int) -> Value:
    return Value(f"key {number % 3}", f"{number:06}", str(number).encode())


def _read(group: Group, file: SpillFile) -> tuple[str, int, list[int]]:
    return group.key, group.size, [int(data) for data in file.read(group)]


@pytest.mark.parametrize("workers", [1, 3])
@pytest.mark.parametrize("count", [0, 1, 3 * BATCH, 5 * BATCH + 7])
def test_every_record_is_in_its_group_once_and_in_order(tmp_path: Path, workers: int, count: int) -> None:
    file = SpillFile(tmp_path / "run" / "spill.sqlite")
    options = PipelineOptions([], direct_num_workers=workers)
    with beam.Pipeline(runner=FnApiRunner(), options=options) as pipeline:
        numbers = pipeline | beam.Create(range(count), reshuffle=workers > 1)
        groups = numbers | Spill(file, _value) | beam.Map(_read, file)
        expected = {f"key {key}": list(range(key, count, 3)) for key in range(min(count, 3))}
        assert_that(groups, equal_to([(key, len(found), found) for key, found in expected.items()]))


def test_equal_records_all_stay(tmp_path: Path) -> None:
    file = SpillFile(tmp_path / "spill.sqlite")
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        groups = pipeline | beam.Create([4] * 9) | Spill(file, _value) | beam.Map(_read, file)
        assert_that(groups, equal_to([("key 1", 9, [4] * 9)]))


def test_what_a_failed_bundle_wrote_is_not_read(tmp_path: Path) -> None:
    file = SpillFile(tmp_path / "spill.sqlite")
    first, again = uuid.uuid4().hex, uuid.uuid4().hex
    file.write(first, 0, map(_value, [0, 3]))
    file.write(again, 0, map(_value, [0, 3, 6]))
    assert _read(Group("key 0", 3, (again,)), file) == ("key 0", 3, [0, 3, 6])


def test_a_range_of_places_is_read_from_its_first_to_before_its_last(tmp_path: Path) -> None:
    file = SpillFile(tmp_path / "spill.sqlite")
    file.write("b", 0, map(_value, range(0, 60, 3)))
    group = Group("key 0", 20, ("b",))
    assert list(file.read(group, "000009", "000015")) == [b"9", b"12"]
    assert list(file.read(group, "000054")) == [b"54", b"57"]
