"""Everything that `python -m pipelines.evaluate` does, in order: read, ask, write, measure, compare, draw."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.training.embedders import load_embedder
from pipelines.training.evaluation.asking import Parts, ask
from pipelines.training.evaluation.benchmarks import Benchmark, parse_benchmark, read_benchmark
from pipelines.training.evaluation.comparison import (
    compare_models,
    tables_of,
    write_comparison,
    write_metrics,
)
from pipelines.training.evaluation.items import dataset_items, some_of
from pipelines.training.evaluation.loading import contestants_of, file_name
from pipelines.training.evaluation.meaning import load_entailment
from pipelines.training.evaluation.plots import draw_all
from pipelines.training.evaluation.predictions import write_predictions
from pipelines.training.evaluation.rationales import Readers
from pipelines.training.evaluation.settings import Settings, Track
from pipelines.training.evaluation.tables import Table

RECORDED = ("seed", "limit", "max_new_tokens", "batch_size", "dtype", "embedder", "nli", "ablations")
"""Settings that `metrics.json` repeats."""


class Outcome(NamedTuple):
    """What was found."""

    tables: list[Table]
    failed: dict[str, int]
    """Benchmark to how many of its rows could not be used."""


def evaluate(settings: Settings, track: Track) -> Outcome:
    """Evaluate every model on every part; write predictions, `metrics.json`, `comparison.md` and plots.

    Raises:
        ValueError: Something named is not there or cannot be used, or an embedder would measure what it rewarded.
    """
    contestants = contestants_of(settings)
    readers = _readers(settings)
    benchmarks = [read_benchmark(*parse_benchmark(given)) for given in settings.benchmarks]
    parts = _parts(settings, benchmarks)
    settings.out.mkdir(parents=True, exist_ok=True)
    rows = {}
    for one in contestants:
        rows[one.name] = ask(one, parts, settings, track)
        write_predictions(settings.out / "predictions" / f"{file_name(one.name)}.parquet", rows[one.name])
    compared = compare_models(contestants, parts, rows, readers, settings.seed)
    tables = tables_of(compared)
    recorded = {name: getattr(settings, name) for name in RECORDED}
    write_metrics(settings.out / "metrics.json", recorded, contestants, compared, benchmarks)
    write_comparison(settings.out / "comparison.md", tables)
    _write_failed(settings.out / "failed.jsonl", benchmarks)
    draw_all({part: one.models for part, one in compared.items()}, settings.out)
    return Outcome(tables, {one.name: len(one.failed) for one in benchmarks})


def _readers(settings: Settings) -> Readers:
    embed = load_embedder(settings.embedder, device=settings.device) if settings.embedder else None
    entail = load_entailment(settings.nli, settings.device) if settings.nli else None
    return Readers(embed, entail, settings.judge)


def _parts(settings: Settings, benchmarks: Sequence[Benchmark]) -> Parts:
    parts = {split: dataset_items(settings.dataset, split, settings.limit) for split in settings.splits}
    parts |= {one.name: some_of(one.items, settings.limit) for one in benchmarks}
    if not parts:
        raise ValueError("there is nothing to evaluate on: name --splits or a --benchmark")
    return parts


def _write_failed(path: Path, benchmarks: Sequence[Benchmark]) -> None:
    """A line a row that could not be used; no file where no benchmark was given."""
    lines = [
        json.dumps({"benchmark": one.name, **failure._asdict()}, ensure_ascii=False) + "\n"
        for one in benchmarks
        for failure in one.failed
    ]
    if benchmarks:
        path.write_text("".join(lines), encoding="utf-8")
