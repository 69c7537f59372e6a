"""The configurations by which `datasets` loads the folder: pairs, memes and, only if asked for, what was excluded.

Pairs and memes read the same shards, each its own columns, so no picture is stored or downloaded twice for them.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.release.facts import Facts
from schemas.tables import excluded_schema

MEME_COLUMNS = (
    "id",
    "composed",
    "text",
    "label",
    "role",
    "hazard",
    "mechanism",
    "contrast_group",
    "rationale",
)
"""Columns of `memes`: the composed picture, with its text, for models that read pictures only."""


def columns_of(schema: pa.Schema) -> dict[str, list[str]]:
    """Configuration to its columns: `memes` has the composed pictures, `pairs` all the rest."""
    return {
        "pairs": [name for name in schema.names if name != "composed"],
        "memes": [name for name in MEME_COLUMNS if name in schema.names],
    }


def data_configs(facts: Facts) -> list[dict[str, Any]]:
    """The entry `configs` of the card: which files and columns belong to which configuration."""
    if facts.schema is None:
        return []
    configs: list[dict[str, Any]] = [
        {"config_name": name, "columns": columns, "data_files": _data_files(facts)}
        for name, columns in columns_of(facts.schema).items()
    ]
    configs[0] = {"config_name": "pairs", "default": True, **configs[0]}
    if _excluded(facts):
        dropped = [{"split": "excluded", "path": "excluded/*.parquet"}]
        configs.append({"config_name": "excluded", "data_files": dropped})
    return configs


def dataset_info(facts: Facts) -> list[dict[str, Any]]:
    """The entry `dataset_info` of the card: features and sizes of every configuration."""
    if facts.schema is None:
        return []
    from datasets import Features

    features = Features.from_arrow_schema(facts.schema)
    infos = []
    for name, columns in columns_of(facts.schema).items():
        sizes = {split.name: _sizes(split.files, columns) for split in facts.splits}
        chosen = Features({column: features[column] for column in columns})
        infos.append(_info(name, chosen, {s.name: s.pairs for s in facts.splits}, sizes))
    if files := _excluded(facts):
        every = Features.from_arrow_schema(excluded_schema())
        rows = facts.figures.excluded.num_rows
        infos.append(_info("excluded", every, {"excluded": rows}, {"excluded": _sizes(files, list(every))}))
    return infos


def _data_files(facts: Facts) -> list[dict[str, str]]:
    """A new list for each configuration: YAML writes one that is used twice as an alias."""
    return [{"split": split.name, "path": f"data/{split.name}-*.parquet"} for split in facts.splits]


def _excluded(facts: Facts) -> tuple[Path, ...]:
    return tuple(sorted((facts.path / "excluded").glob("*.parquet")))


def _sizes(files: tuple[Path, ...], columns: list[str]) -> tuple[int, int]:
    """Bytes in memory and in the files of some columns of some shards."""
    wanted, memory, stored = set(columns), 0, 0
    for metadata in (pq.read_metadata(path) for path in files):
        for group in (metadata.row_group(number) for number in range(metadata.num_row_groups)):
            chunks = (group.column(number) for number in range(group.num_columns))
            for chunk in (chunk for chunk in chunks if chunk.path_in_schema.split(".")[0] in wanted):
                memory += chunk.total_uncompressed_size
                stored += chunk.total_compressed_size
    return memory, stored


def _info(
    name: str, features: Any, rows: dict[str, int], sizes: dict[str, tuple[int, int]]
) -> dict[str, Any]:
    from datasets import DatasetInfo
    from datasets.splits import SplitDict, SplitInfo

    splits = SplitDict()
    for split, count in rows.items():
        splits.add(SplitInfo(split, num_bytes=sizes[split][0], num_examples=count))
    info = DatasetInfo(
        config_name=name,
        features=features,
        splits=splits,
        dataset_size=sum(memory for memory, _ in sizes.values()),
        download_size=sum(stored for _, stored in sizes.values()),
    )
    return {"config_name": name, **_as_yaml(info)}


def _as_yaml(info: Any) -> dict[str, Any]:
    from datasets.info import DatasetInfosDict
    from huggingface_hub import DatasetCardData

    card = DatasetCardData()
    DatasetInfosDict({"default": info}).to_dataset_card_data(card)
    entry: dict[str, Any] = card["dataset_info"]
    return entry
