"""A small dataset folder without annotations."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.planted import plant_dataset


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Twenty-four pairs in six contrast groups."""
    return plant_dataset(tmp_path / "planted")
