"""Pairs whose answers are known, to measure annotators by; nothing about them is ever sent."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotation.dataset import AnnotationError, write_table
from schemas.taxonomy import Taxonomy

if TYPE_CHECKING:
    import pyarrow as pa

FILE = "gold.parquet"
COLUMNS = ("pair_id", "joint_harmful", "image_harmful", "text_harmful", "hazard")
"""Answers are `yes` or `no`; only the first two columns are required, the others are empty where unknown."""

Gold = dict[str, dict[str, str]]
"""Pair id to its row."""


def read_gold(path: Path, pairs: Iterable[str], taxonomy: Taxonomy) -> Gold:
    """Read a CSV or Parquet file of known answers.

    Args:
        path: The file.
        pairs: Ids of the pairs in the dataset.
        taxonomy: Its open hazards are allowed.

    Raises:
        AnnotationError: The file, a column or a row is no good.
    """
    gold: Gold = {}
    known = frozenset(pairs)
    for number, found in enumerate(_table(path), 1):
        row = {name: str(found.get(name) or "").strip() for name in COLUMNS}
        if reason := _mistake(row, known, taxonomy) or ("the pair is there twice" * (row["pair_id"] in gold)):
            raise AnnotationError(f"{path}, row {number}: {reason}")
        gold[row["pair_id"]] = row
    return gold


def stored_gold(folder: Path) -> Gold:
    """The known answers that the dataset has already; `folder` is its folder of annotations."""
    path = folder / FILE
    return {row["pair_id"]: row for row in _table(path)} if path.exists() else {}


def store_gold(folder: Path, gold: Mapping[str, Mapping[str, str]]) -> None:
    """Write the known answers, sorted by pair."""
    import pyarrow as pa

    schema = pa.schema([(name, pa.string()) for name in COLUMNS])
    write_table(folder / FILE, [dict(gold[pair]) for pair in sorted(gold)], schema)


def _table(path: Path) -> list[dict[str, Any]]:
    import pyarrow as pa

    try:
        table = _read(path)
    except (OSError, pa.ArrowException) as error:
        first = str(error).split("\n", 1)[0]
        raise AnnotationError(f"{path} cannot be read as CSV or Parquet: {first}") from None
    if missing := [name for name in COLUMNS[:2] if name not in table.column_names]:
        raise AnnotationError(f"{path} has no column {missing[0]}; it has {', '.join(table.column_names)}")
    rows: list[dict[str, Any]] = table.to_pylist()
    return rows


def _read(path: Path) -> pa.Table:
    import pyarrow as pa
    import pyarrow.parquet as pq
    from pyarrow import csv

    if path.suffix == ".parquet":
        return pq.read_table(path)
    types = csv.ConvertOptions(column_types=dict.fromkeys(COLUMNS, pa.string()))
    return csv.read_csv(path, convert_options=types)


def _mistake(row: Mapping[str, str], pairs: frozenset[str], taxonomy: Taxonomy) -> str:
    if row["pair_id"] not in pairs:
        return "the dataset has no such pair"
    if row["joint_harmful"] not in ("yes", "no"):
        return "joint_harmful must be yes or no"
    if any(row[name] not in ("", "yes", "no") for name in ("image_harmful", "text_harmful")):
        return "image_harmful and text_harmful must be yes, no or empty"
    if row["hazard"] not in ("", *taxonomy.open_hazards()):
        return f"hazard {row['hazard']!r} is not in the taxonomy, or closed"
    return ""
