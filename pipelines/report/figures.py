"""The figures of a written dataset folder, as the terminal summary and the report show them; no pixels."""

from __future__ import annotations

import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from types import SimpleNamespace
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq

from pipelines.build import STAGES as BUILD_STAGES
from pipelines.stages.emergence import is_emergent
from schemas.config import Select
from schemas.records import ROLES, SPLITS
from schemas.tables import excluded_schema, failed_schema, pair_schema
from schemas.taxonomy import load_taxonomy

STAGES = (*BUILD_STAGES, "finalize")
"""The order in which stages are shown; others follow."""
_ROW_STAGES = tuple(dict.fromkeys(stage.removesuffix(" images").removesuffix(" texts") for stage in STAGES))
"""As rows name their stage, whichever modality they are of."""
METHODS = {"scenario": "Scenario-guided", "clip": "CLIP similarity", "random": "Random pairing"}
SCORES = {
    "precision": "Pairs written as emergent that are",
    "precision_known": "The same, among combinations seen in training",
    "precision_held_out": "The same, among combinations held out from training",
    "hazard_accuracy": "Truly emergent pairs that carry the right hazard",
    "contrast_precision": "Contrast partners that are benign",
    "benign_precision": "Benign pairs that are benign",
    "combination_recall": "Harmful combinations in the pools that have a pair",
    "screening_recall": "Plainly harmful assets that screening excludes",
    "screening_false_exclusion": "Benign assets that screening excludes",
    "yield_scenario": "Truly emergent among scenario-guided pairs",
    "yield_clip": "Truly emergent among pairs by CLIP similarity",
    "yield_random": "Truly emergent among random pairs",
    "yield_ratio": "That of scenario-guided pairing against random",
}
"""What the keys of `scores` in a manifest mean, in the order shown."""
_PAIR_COLUMNS = (
    "id",
    "role",
    "hazard",
    "mechanism",
    "contrast_group",
    "method",
    "p_image",
    "p_text",
    "p_joint",
)


class Yield(NamedTuple):
    """Of the candidates of one method that were judged, how many the judge finds emergent."""

    method: str
    judged: int
    emergent: int

    @property
    def title(self) -> str:
        """The method in words."""
        return METHODS.get(self.method, self.method)

    @property
    def share(self) -> float:
        """In [0, 1]; 0 if nothing was judged."""
        return self.emergent / self.judged if self.judged else 0.0

    def factor_over(self, other: Yield) -> float | None:
        """How many times the other's share; None if the other found nothing."""
        return self.share / other.share if other.share else None


class Flow(NamedTuple):
    """What became of the rows that entered a stage."""

    stage: str
    entered: int
    kept: int
    excluded: int
    failed: int

    @property
    def lost(self) -> int:
        """Rows that came in and did not come out anywhere; 0 unless something is wrong."""
        return self.entered - self.kept - self.excluded - self.failed


class ScoreLine(NamedTuple):
    """One measurement against the rules."""

    key: str
    title: str
    value: str
    of: int | None


class Exclusion(NamedTuple):
    """How many rows one stage dropped for one reason (or failed with one error)."""

    modality: str
    stage: str
    reason: str
    rows: int


class Figures:
    """Everything countable about a dataset folder.

    Args:
        dataset_dir: A folder written by a build, with `manifest.json` and `data/`.

    Raises:
        FileNotFoundError: There is no manifest, so the build did not come to its end.
    """

    def __init__(self, dataset_dir: str | os.PathLike[str]) -> None:
        self.path = Path(dataset_dir)
        manifest = self.path / "manifest.json"
        if not manifest.is_file():
            raise FileNotFoundError(
                f"{manifest} is missing: {self.path} is not a dataset that a build finished"
            )
        self.manifest: dict[str, Any] = json.loads(manifest.read_text(encoding="utf-8"))
        configuration = self.manifest.get("configuration", {})
        self.select = Select.model_validate(configuration.get("select", {}))
        self.name: str = configuration.get("build", {}).get("name") or self.path.name
        self.notices: list[str] = list(self.manifest.get("notices", ()))

    @cached_property
    def pairs(self) -> pa.Table:
        """All pairs without text and media, with a column `split`, ordered by split and id."""
        return self.read_pairs((*_PAIR_COLUMNS, "emergence"))

    def data_files(self) -> list[tuple[str, Path]]:
        """The shards, each with its split, in the order of the splits."""
        files = sorted((self.path / "data").glob("*.parquet"))
        found = [(path.name.split("-")[0], path) for path in files]
        return [(split, path) for wanted in SPLITS for split, path in found if split == wanted]

    def read_pairs(self, columns: Iterable[str]) -> pa.Table:
        """Read columns of all shards, with a column `split`."""
        columns = list(columns)
        tables = [pa.table({name: pa.array([], pair_schema().field(name).type) for name in columns})]
        tables[0] = tables[0].append_column("split", pa.array([], pa.string()))
        for split, path in self.data_files():
            table = pq.read_table(path, columns=columns)
            tables.append(table.append_column("split", pa.array([split] * len(table), pa.string())))
        return pa.concat_tables([table.replace_schema_metadata() for table in tables])

    @cached_property
    def excluded(self) -> pa.Table:
        """Rows of `excluded/`."""
        return self._read("excluded", excluded_schema())

    @cached_property
    def failed(self) -> pa.Table:
        """Rows of `failed/`."""
        return self._read("failed", failed_schema())

    def _read(self, folder: str, schema: pa.Schema) -> pa.Table:
        files = sorted((self.path / folder).glob("*.parquet"))
        return pa.concat_tables([schema.empty_table(), *(pq.read_table(f, schema=schema) for f in files)])

    @cached_property
    def roles(self) -> dict[str, Counter[str]]:
        """Role to split to number of pairs."""
        counts: dict[str, Counter[str]] = {role: Counter() for role in ROLES}
        for role, split in _rows(self.pairs, "role", "split"):
            counts[role][split] += 1
        return counts

    @cached_property
    def hazards(self) -> dict[str, Counter[str]]:
        """Hazard to split to number of emergent pairs, the taxonomy's order."""
        return self._emergent_by("split")

    @cached_property
    def mechanisms(self) -> dict[str, Counter[str]]:
        """Hazard to mechanism to number of emergent pairs."""
        return self._emergent_by("mechanism")

    def _emergent_by(self, column: str) -> dict[str, Counter[str]]:
        counts: dict[str, Counter[str]] = {}
        for role, hazard, value in _rows(self.pairs, "role", "hazard", column):
            if role == "emergent":
                counts.setdefault(hazard, Counter())[value] += 1
        order = list(load_taxonomy().hazards)
        return dict(sorted(counts.items(), key=lambda item: (_place(order, item[0]), item[0])))

    @cached_property
    def yields(self) -> list[Yield]:
        """Per method of proposing pairs: how many were judged, and how many are emergent by the judge."""
        judged: Counter[str] = Counter()
        emergent: Counter[str] = Counter()
        for candidate in self._judged():
            method = candidate["method"]
            judged[method] += 1
            emergent[method] += self.is_emergent(candidate)
        methods = [*METHODS, *sorted(set(judged) - set(METHODS))]
        return [
            Yield(m, judged[m], emergent[m]) for m in methods if judged[m] and not m.startswith("contrast_")
        ]

    def _judged(self) -> Iterable[Mapping[str, Any]]:
        yield from self.pairs.select(["method", "p_image", "p_text", "p_joint", "emergence"]).to_pylist()
        for modality, detail in _rows(self.excluded, "modality", "detail"):
            values = json.loads(detail) if modality == "candidate" and detail else {}
            if "method" in values and "p_joint" in values:
                yield values

    def is_emergent(self, scores: Mapping[str, Any]) -> bool:
        """Whether the judge's scores pass the thresholds that this dataset was selected with."""
        return is_emergent(SimpleNamespace(**scores), self.select)

    @cached_property
    def flows(self) -> list[Flow]:
        """What became of the rows of every stage that puts out as many as it takes in (pairing does not)."""
        counts: dict[str, dict[str, int]] = self.manifest.get("counts", {})
        stages = sorted(counts, key=lambda stage: (_place(STAGES, stage), stage))
        names = ("in", "kept", "excluded", "failed")
        flows = [Flow(stage, *(counts[stage].get(name, 0) for name in names)) for stage in stages]
        return [flow for flow in flows if flow.entered and not flow.lost]

    @cached_property
    def exclusions(self) -> list[Exclusion]:
        """What was excluded and why, by stage and then most frequent first."""
        return _grouped(self.excluded, "reason")

    @cached_property
    def failures(self) -> list[Exclusion]:
        """What failed and with which error."""
        return _grouped(self.failed, "error")

    @cached_property
    def failure_messages(self) -> list[tuple[str, int]]:
        """What the errors said, the commonest first, with their rows."""
        said = Counter(message for message in self.failed["detail"].to_pylist() if message)
        return sorted(said.items(), key=lambda one: (-one[1], one[0]))

    @cached_property
    def scores(self) -> list[ScoreLine]:
        """The measurements against the rules, where the dataset has ground truth."""
        found: dict[str, Any] = self.manifest.get("scores") or {}
        keys = [*(key for key in SCORES if key in found), *sorted(found.keys() - SCORES.keys())]
        return [_score_line(key, found[key]) for key in keys]

    @cached_property
    def ledger(self) -> list[Flow]:
        """What became of all rows of each modality, as the build reconciled them."""
        rows: dict[str, dict[str, int]] = self.manifest.get("rows", {})
        names = ("rows_in", "written", "excluded", "failed")
        return [Flow(modality, *(rows[modality][name] for name in names)) for modality in sorted(rows)]

    @property
    def balanced(self) -> bool:
        """Whether every row that came in came out."""
        return not any(flow.lost for flow in self.ledger)

    def balance(self) -> str:
        """Whether every row that came in went somewhere, with the numbers of each modality."""
        parts = [
            f"{f.entered:,} {f.stage}s in = {f.kept:,} kept + {f.excluded:,} excluded + {f.failed:,} failed"
            for f in self.ledger
        ]
        opening = "Every row is accounted for" if self.balanced else "Rows are not accounted for"
        return f"{opening}: {'; '.join(parts)}." if parts else "The manifest has no account of the rows."


def _rows(table: pa.Table, *columns: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(table[column].to_pylist() for column in columns), strict=True)


def _place(order: Iterable[str], key: str) -> int:
    known = list(order)
    return known.index(key) if key in known else len(known)


def _grouped(table: pa.Table, cause: str) -> list[Exclusion]:
    counts = Counter(_rows(table, "modality", "stage", cause))
    lines = [Exclusion(modality, stage, why, n) for (modality, stage, why), n in counts.items()]
    return sorted(lines, key=lambda x: (_place(_ROW_STAGES, x.stage), x.stage, -x.rows, x.modality, x.reason))


def _score_line(key: str, score: Any) -> ScoreLine:
    value, of = (score["value"], score.get("of")) if isinstance(score, dict) else (score, None)
    text = (
        "not measurable" if value is None else f"{value:.1f}×" if key.endswith("_ratio") else f"{value:.1%}"
    )
    return ScoreLine(key, SCORES.get(key, key), text, of)
