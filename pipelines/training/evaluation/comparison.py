"""From the predictions of all models to their comparison: figures, paired differences, and the files that say them."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from itertools import combinations
from pathlib import Path
from typing import Any, NamedTuple

from generators.weights import weights_name
from pipelines.training.evaluation.asking import Parts
from pipelines.training.evaluation.benchmarks import Benchmark
from pipelines.training.evaluation.bootstrap import Estimate, draw, estimate
from pipelines.training.evaluation.loading import Contestant
from pipelines.training.evaluation.measures import mean_of
from pipelines.training.evaluation.predictions import Prediction
from pipelines.training.evaluation.rationales import Readers, rationale_quality, reference_grounding
from pipelines.training.evaluation.summary import Figures, compare, figures_of, measures_of
from pipelines.training.evaluation.tables import LEGEND, Table, difference_table, part_table


class Difference(NamedTuple):
    """How much more one model reaches than another on the same pairs."""

    model: str
    minus: str
    measures: dict[str, Estimate]


class Compared(NamedTuple):
    """All models on one part."""

    models: dict[str, Figures]
    differences: list[Difference]
    """Each model against every one before it."""
    references: dict[str, Estimate]
    """Grounding of the references themselves."""


def compare_models(
    contestants: Sequence[Contestant],
    parts: Parts,
    rows: Mapping[str, Sequence[Prediction]],
    readers: Readers,
    seed: int = 0,
) -> dict[str, Compared]:
    """Measure every model on every part; all models of a part are measured on the same resamples.

    Args:
        contestants: The models.
        parts: The pairs.
        rows: Of each model, of all parts in their order.
        readers: What reads rationales.
        seed: Decides the resamples.
    """
    found = {}
    for part, items in parts.items():
        draws = draw([item.cluster for item in items], f"{seed} {part}")
        examples = [item.example for item in items]
        figures, measures = {}, {}
        for one in contestants:
            chosen = [row for row in rows[one.name] if row.part == part]
            quality = None if one.kind == "probe" else rationale_quality(chosen, examples, readers)
            figures[one.name] = figures_of(chosen, quality, draws)
            measures[one.name] = measures_of(chosen, quality)
        differences = [
            Difference(later, earlier, compare(measures[later], measures[earlier], draws))
            for earlier, later in combinations(measures, 2)
        ]
        references = {name: estimate(mean_of(v), draws) for name, v in reference_grounding(examples).items()}
        found[part] = Compared(figures, differences, references)
    return found


def tables_of(compared: Mapping[str, Compared]) -> list[Table]:
    """A table a part, then the differences."""
    tables = [part_table(part, one.models, one.references) for part, one in compared.items()]
    return tables + [
        difference_table(part, one.differences) for part, one in compared.items() if one.differences
    ]


def write_comparison(path: Path, tables: Sequence[Table]) -> None:
    """Write the tables as Markdown."""
    text = "\n".join(["# Comparison\n", f"{LEGEND}\n", *(table.markdown() for table in tables)])
    path.write_text(text, encoding="utf-8")


def write_metrics(
    path: Path,
    settings: Mapping[str, Any],
    contestants: Sequence[Contestant],
    compared: Mapping[str, Compared],
    benchmarks: Sequence[Benchmark],
) -> None:
    """Write everything that was measured as JSON, with what it was measured of."""
    facts = {
        "settings": dict(settings),
        "models": {
            one.name: {"kind": one.kind, "weights": weights_name(one.path, one.revision)}
            for one in contestants
        },
        "parts": {part: _plain(one) for part, one in compared.items()},
        "benchmarks": {
            one.name: {"rows": one.rows, "usable": len(one.items), "failed": _counted(one)}
            for one in benchmarks
        },
    }
    path.write_text(json.dumps(facts, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _counted(benchmark: Benchmark) -> dict[str, int]:
    reasons = [failure.reason for failure in benchmark.failed]
    return {reason: reasons.count(reason) for reason in sorted(set(reasons))}


def _plain(value: Any) -> Any:
    """Named tuples as dictionaries, all the way down."""
    if isinstance(value, tuple) and hasattr(value, "_asdict"):
        return {name: _plain(one) for name, one in value._asdict().items()}
    if isinstance(value, dict):
        return {name: _plain(one) for name, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list | tuple) else value
