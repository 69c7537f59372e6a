"""The clean dataset, and what writes one with a fault in it."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.pipelines.auditing.planted import Change, Rows, clean_rows, write_dataset


@pytest.fixture(scope="session")
def rows() -> Rows:
    return clean_rows()


@pytest.fixture(scope="session")
def written(tmp_path_factory: pytest.TempPathFactory, rows: Rows) -> Path:
    return write_dataset(tmp_path_factory.mktemp("clean") / "dataset", rows)


@pytest.fixture
def clean(tmp_path: Path, written: Path) -> Path:
    """A dataset for one test alone, without a fault but that only one of two sets is complete."""
    return Path(shutil.copytree(written, tmp_path / "clean"))


@pytest.fixture
def changed(tmp_path: Path, rows: Rows) -> Callable[[Change], Path]:
    """Writes the clean rows with a change to each, told the split and the row."""

    def write(change: Change) -> Path:
        planted = {split: [change(split, row) for row in some] for split, some in rows.items()}
        return write_dataset(tmp_path / "planted", planted)

    return write
