"""What annotators answered: read from a dataset folder and checked; one answer a person, pair and round."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from schemas.records import Annotation, Region
from schemas.tables import annotation_schema

FOLDER = "annotations"
"""Where a dataset keeps what people said about it."""
YES_NO = ("joint_harmful", "image_harmful", "text_harmful")
"""The questions that are answered by one of `ANSWERS`, the one about the pair first."""
ANSWERS = ("yes", "no", "unsure")
KNOWABLE = (*YES_NO, "hazard")
"""The questions whose answers `gold.parquet` may know."""
_TEXTS = tuple(field.name for field in annotation_schema() if field.type == pa.string())
_PAIR_COLUMNS = ["id", "hazard", "mechanism"]


class AnnotationsError(ValueError):
    """The annotations of a dataset cannot be used; says which file, why, and what to do."""


class PairKey(NamedTuple):
    """What the machine says a pair is about; a contrast partner has the hazard of its emergent pair."""

    hazard: str
    mechanism: str


class Answers(NamedTuple):
    """All that people said about the pairs of a dataset."""

    annotations: list[Annotation]
    """Of both rounds, skips included, sorted by pair, round and annotator; each annotator's last one."""
    gold: dict[str, dict[str, str]]
    """Pair id to question to the known answer; only pairs and questions that are known."""
    pairs: dict[str, PairKey]
    """Every pair of the dataset by its id."""
    unknown: dict[str, int]
    """Ids that are neither in the dataset nor gold, with how many annotations of each were left out."""
    digest: str
    """As of `inputs_digest`."""

    def is_gold(self, annotation: Annotation) -> bool:
        """Whether an annotation was made to measure the annotator, on a pair whose answers are known."""
        return annotation.gold or annotation.pair_id in self.gold

    def of_dataset(self, round: int | None = None) -> list[Annotation]:
        """The annotations of the dataset's pairs that are no skips, of one round or of all."""
        return [
            one
            for one in self.annotations
            if one.pair_id in self.pairs and not one.skipped and round in (None, one.round)
        ]


def read_answers(dataset: Path) -> Answers:
    """Read annotations, gold answers and pair ids of a dataset folder.

    Raises:
        AnnotationsError: The folder is no dataset, nothing was pulled yet, or a file cannot be used.
    """
    pairs = read_pairs(dataset)
    gold = _read_gold(dataset / FOLDER / "gold.parquet")
    everything = _latest(_read_annotations(dataset))
    unknown = Counter(
        one.pair_id for one in everything if not (one.pair_id in pairs or one.pair_id in gold or one.gold)
    )
    known = [one for one in everything if one.pair_id not in unknown]
    return Answers(known, gold, pairs, dict(sorted(unknown.items())), inputs_digest(dataset))


def read_pairs(dataset: Path) -> dict[str, PairKey]:
    """The pairs of a dataset by id; AnnotationsError if the folder holds none."""
    files = sorted((dataset / "data").glob("*.parquet"))
    if not files:
        raise AnnotationsError(f"{dataset} is not a dataset: there is no Parquet file in {dataset / 'data'}")
    pairs: dict[str, PairKey] = {}
    for path in files:
        for row in pq.read_table(path, columns=_PAIR_COLUMNS).to_pylist():
            pairs[row["id"]] = PairKey(row["hazard"] or "", row["mechanism"] or "")
    return pairs


def inputs_digest(dataset: Path) -> str:
    """A sha256 (hex) over the files that an adjudication is made from: annotations and gold answers."""
    digest = hashlib.sha256()
    for name in ("annotations.parquet", "gold.parquet"):
        path = dataset / FOLDER / name
        digest.update(hashlib.sha256(path.read_bytes() if path.is_file() else b"").digest())
    return digest.hexdigest()


def unknown_notice(answers: Answers) -> str:
    """One line on the annotations that were left out, or an empty string; at most five ids are named."""
    if not answers.unknown:
        return ""
    count, shown = sum(answers.unknown.values()), [id[:16] for id in answers.unknown][:5]
    more = f" and {len(answers.unknown) - 5} more" if len(answers.unknown) > 5 else ""
    return (
        f"left out: annotations of pairs that are not in the dataset ({count} of {len(answers.unknown)} pairs): "
        f"{', '.join(shown)}{more}"
    )


def _read_annotations(dataset: Path) -> list[Annotation]:
    path = dataset / FOLDER / "annotations.parquet"
    pull = f"bring them in with `python -m annotation pull {dataset} --url ADDRESS`"
    if not path.is_file():
        raise AnnotationsError(f"{path} is missing: there are no annotations yet; {pull}")
    rows = _read_columns(path, annotation_schema()).to_pylist()
    if not rows:
        raise AnnotationsError(f"{path} is empty: there are no annotations yet; {pull}")
    return [_annotation(row, path) for row in rows]


def _read_columns(path: Path, schema: pa.Schema) -> pa.Table:
    try:
        table = pq.read_table(path)
        missing = [name for name in schema.names if name not in table.schema.names]
        if missing:
            raise AnnotationsError(f"{path} lacks the columns {', '.join(missing)}")
        return table.select(schema.names).cast(schema)
    except pa.ArrowException as error:
        raise AnnotationsError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error


def _annotation(row: dict[str, Any], path: Path) -> Annotation:
    """One row, with empty strings and zeros for what is null."""
    given = {name: row[name] or "" for name in _TEXTS}
    region = Region(**row["region"]) if row["region"] else None
    made = Annotation(
        **given,
        round=row["round"] or 1,
        gold=bool(row["gold"]),
        skipped=bool(row["skipped"]),
        severity=row["severity"] or 0,
        region=region,
        seconds=row["seconds"] or 0.0,
    )
    for question in YES_NO:
        answer = getattr(made, question)
        if answer and answer not in ANSWERS:
            raise AnnotationsError(
                f"{path}: annotation {made.id} answers {question} with {answer!r}, not yes, no or unsure"
            )
    return made


def _latest(annotations: Iterable[Annotation]) -> list[Annotation]:
    """The last annotation of each annotator on a pair in a round: who submits again has changed their mind."""
    last: dict[tuple[str, int, str], Annotation] = {}
    for one in sorted(annotations, key=lambda one: (one.updated, one.id)):
        last[one.pair_id, one.round, one.annotator] = one
    return [last[key] for key in sorted(last)]


def _read_gold(path: Path) -> dict[str, dict[str, str]]:
    if not path.is_file():
        return {}
    try:
        table = pq.read_table(path)
    except pa.ArrowException as error:
        raise AnnotationsError(f"{path} cannot be read: {str(error).splitlines()[0]}") from error
    missing = {"pair_id", "joint_harmful"} - set(table.schema.names)
    if missing:
        raise AnnotationsError(f"{path} lacks the columns {', '.join(sorted(missing))}")
    return {row["pair_id"]: _known(row, path) for row in table.to_pylist()}


def _known(row: dict[str, Any], path: Path) -> dict[str, str]:
    known = {question: row[question] for question in KNOWABLE if row.get(question)}
    for question in YES_NO:
        if known.get(question, "no") not in ("yes", "no"):
            raise AnnotationsError(f"{path}: {question} of pair {row['pair_id']} is neither yes nor no")
    return known
