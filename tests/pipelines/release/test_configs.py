"""`datasets` loads every configuration of an exported folder, at once and streaming."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pipelines.release.configs import MEME_COLUMNS
from schemas.tables import excluded_schema, pair_schema

EXPECTED = {
    None: {name for name in pair_schema().names if name != "composed"},
    "pairs": {name for name in pair_schema().names if name != "composed"},
    "memes": set(MEME_COLUMNS),
    "excluded": set(excluded_schema().names),
}


@pytest.mark.parametrize("streaming", [False, True])
@pytest.mark.parametrize("config", EXPECTED)
def test_every_configuration_loads(
    config: str | None, streaming: bool, template: Path, tmp_path: Path
) -> None:
    from datasets import load_dataset

    loaded: Any = load_dataset(str(template), config, streaming=streaming, cache_dir=str(tmp_path))
    assert set(loaded) == ({"excluded"} if config == "excluded" else {"train", "test"})
    rows = [row for split in loaded.values() for row in split]
    assert len(rows) == (3 if config == "excluded" else 16)
    assert set(rows[0]) == EXPECTED[config]
    picture = {"memes": "composed", "excluded": None}.get(str(config), "image")
    assert all(row[picture].size == (48, 32) for row in rows if picture)


def test_what_was_excluded_has_no_pictures_and_is_not_the_default(template: Path) -> None:
    from datasets import get_dataset_config_names, load_dataset_builder

    assert get_dataset_config_names(str(template)) == ["pairs", "memes", "excluded"]
    assert load_dataset_builder(str(template)).config.name == "pairs"
    features = load_dataset_builder(str(template), "excluded").info.features
    assert {feature.dtype for feature in features.values()} == {"string", "float64"}
