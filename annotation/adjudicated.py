"""The tables of an adjudication: written, and read again if they are of today's annotations."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from annotation.answers import FOLDER, AnnotationsError, inputs_digest
from annotation.storing import write_table
from schemas.records import Adjudication
from schemas.tables import adjudication_schema

INPUTS = b"inputs_sha256"
"""Key of the table's metadata with the digest of what it was made from."""
VOTE = ("annotator", "image", "text", "joint")
"""Names of what a vote consists of."""


def write_adjudicated(dataset: Path, rows: Iterable[Adjudication], digest: str) -> None:
    """Write `adjudicated.parquet`, the rows as they come; equal inputs give equal bytes.

    Args:
        dataset: The dataset's folder.
        rows: Sorted by pair id.
        digest: Of what they were made from, by `inputs_digest`.
    """
    named = [
        row._asdict() | {"votes": [dict(zip(VOTE, vote, strict=True)) for vote in row.votes]} for row in rows
    ]
    schema = adjudication_schema().with_metadata({INPUTS: digest})
    write_table(dataset / FOLDER / "adjudicated.parquet", pa.Table.from_pylist(named, schema))


def read_adjudicated(dataset: Path) -> dict[str, Adjudication]:
    """Read the adjudications of a dataset by pair id.

    Raises:
        AnnotationsError: There are none, or they are not of the annotations that are there now.
    """
    path = dataset / FOLDER / "adjudicated.parquet"
    again = f"run `python -m annotation adjudicate {dataset}`"
    if not path.is_file():
        raise AnnotationsError(f"{path} is missing: {again}")
    table = pq.read_table(path)
    made_from = (table.schema.metadata or {}).get(INPUTS, b"").decode()
    if made_from != inputs_digest(dataset):
        raise AnnotationsError(
            f"{path} was made from other annotations than there are now: {again} once more"
        )
    rows = table.select(adjudication_schema().names).to_pylist()
    return {row["pair_id"]: _adjudication(row) for row in rows}


def _adjudication(row: dict[str, object]) -> Adjudication:
    votes, rationales = row["votes"], row["rationales"]
    assert isinstance(votes, list) and isinstance(rationales, list)
    named = {
        "votes": tuple(tuple(vote[name] for name in VOTE) for vote in votes),
        "rationales": tuple(rationales),
    }
    return Adjudication._make((row | named)[name] for name in Adjudication._fields)
