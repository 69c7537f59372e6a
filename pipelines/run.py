"""Run a build from start to report: engine, pipeline, progress, reconciliation, manifest, summary."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import apache_beam as beam
import pyarrow.compute as pc
import pyarrow.dataset as ds
from rich.console import Console

from pipelines.build import STAGES, assemble
from pipelines.engine import Engine, check_flags, choose_engine
from pipelines.kit import Kit, make_kit, notices
from pipelines.progress import ProgressDisplay
from pipelines.report import write_report
from pipelines.scoring import score
from pipelines.storage.manifest import (
    Ledger,
    ReconciliationError,
    build_manifest,
    library_versions,
    require_reconciled,
    write_manifest,
)
from pipelines.storage.shards import ShardFile, remove_stale
from pipelines.storage.workspace import Workspace
from pipelines.summary import print_summary
from schemas.config import BuildConfig

Counts = dict[str, dict[str, int]]
NAMESPACE = "crossharm/"


def run_build(config: BuildConfig, out: Path, work_dir: Path, runner: str, flags: Sequence[str]) -> int:
    """Build a dataset into `out`.

    Returns:
        0, or 1 if the rows that went in are not the rows that came out.
    """
    console, started = Console(), time.time()
    check_flags(flags)
    engine = choose_engine(runner, flags)
    workspace = Workspace(str(work_dir.resolve()))
    run_dir = workspace.run_dir(f"{config.build.name}-{time.time_ns()}-{os.getpid()}")
    kit = make_kit(config, out.resolve(), workspace, run_dir, engine)
    kit.out.mkdir(parents=True, exist_ok=True)
    (kit.out / "manifest.json").unlink(missing_ok=True)
    console.print(f"building [bold]{out}[/bold] with {engine.name}")
    with ProgressDisplay(run_dir, STAGES):
        counts = run_pipeline(config, kit, engine)
    files = written_files(run_dir)
    remove_stale(kit.out, [file.path for file in files])
    ledgers = ledgers_of(kit.out, counts)
    manifest = build_manifest(
        config,
        versions=library_versions(),
        engine=engine.name,
        counts=counts,
        files=files,
        ledgers=ledgers,
        models=kit.fingerprints(),
        results={"notices": notices(config), "scores": score(config, kit)},
        run={"started": started, "seconds": round(time.time() - started, 1)},
    )
    write_manifest(kit.out / "manifest.json", manifest)
    write_report(kit.out)
    print_summary(kit.out, console)
    shutil.rmtree(run_dir)
    try:
        require_reconciled(ledgers)
    except ReconciliationError as error:
        console.print(f"[bold red]{error}[/bold red]")
        return 1
    return 0


def run_pipeline(config: BuildConfig, kit: Kit, engine: Engine) -> Counts:
    """Run all stages and return what they counted, stage to name to count."""
    pipeline = engine.pipeline()
    listing = os.path.join(kit.run_dir, "files.jsonl")
    files = assemble(pipeline, config, kit)
    _ = (
        files
        | "AsJson" >> beam.Map(lambda file: json.dumps(file._asdict()))
        | "List" >> beam.io.WriteToText(listing, num_shards=1, shard_name_template="")
    )
    result = pipeline.run()
    result.wait_until_finish()
    counts: Counts = {}
    for counter in result.metrics().query()["counters"]:
        space, name = counter.key.metric.namespace, counter.key.metric.name
        if space.startswith(NAMESPACE):
            stage = counts.setdefault(space.removeprefix(NAMESPACE), {})
            stage[name] = stage.get(name, 0) + counter.result
    return counts


def written_files(run_dir: Path) -> list[ShardFile]:
    """The files that the pipeline listed."""
    lines = (run_dir / "files.jsonl").read_text(encoding="utf-8").splitlines()
    return [ShardFile(**json.loads(line)) for line in lines]


def ledgers_of(out: Path, counts: Counts) -> list[Ledger]:
    """What became of images, texts and candidates: counted in the sources, and again in what was written."""
    fates = {folder: _by_modality(out / folder) for folder in ("excluded", "failed")}
    data = _table(out / "data", ["image_id", "text_id"])
    written = {"candidate": data.num_rows if data else 0}
    for modality in ("image", "text"):
        written[modality] = pc.count_distinct(data[f"{modality}_id"]).as_py() if data else 0
    entered = {
        "image": _count(counts, "ingest images"),
        "text": _count(counts, "ingest texts"),
        "candidate": _count(counts, "judge") + _count(counts, "contrast"),
    }
    return [
        Ledger(m, entered[m], written[m], fates["excluded"].get(m, 0), fates["failed"].get(m, 0))
        for m in entered
    ]


def _count(counts: Counts, stage: str) -> int:
    return counts.get(stage, {}).get("in", 0)


def _by_modality(folder: Path) -> dict[str, int]:
    table = _table(folder, ["modality"])
    return (
        {row["values"]: row["counts"] for row in table["modality"].value_counts().to_pylist()}
        if table
        else {}
    )


def _table(folder: Path, columns: list[str]) -> Any:
    files = sorted(map(str, folder.glob("*.parquet")))
    return ds.dataset(files, format="parquet").to_table(columns=columns) if files else None
