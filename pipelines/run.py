"""Run a build from start to report: engine, pipeline, progress, reconciliation, manifest, card, summary."""

from __future__ import annotations

import json
import logging
import os
import time
from pathlib import Path
from typing import Any, NamedTuple

import apache_beam as beam
import pyarrow.compute as pc
import pyarrow.dataset as ds
from rich.console import Console

from pipelines.build import STAGES, assemble
from pipelines.engine import Engine, check_flags
from pipelines.fetch import fetch_models
from pipelines.kit import Kit, make_kit
from pipelines.logs import errors_to
from pipelines.notices import notices
from pipelines.progress import ProgressDisplay
from pipelines.release import Facts, write_description
from pipelines.report import write_report
from pipelines.scoring import score
from pipelines.stages.compose import BOXES
from pipelines.storage.claim import claim, release, require_ours
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


class Ready(NamedTuple):
    """A build whose every part was checked, so that it can start."""

    config: BuildConfig
    kit: Kit
    engine: Engine
    pipeline: beam.Pipeline


def prepare(config: BuildConfig, out: Path, work_dir: Path, engine: Engine) -> Ready:
    """Check all that can be checked before anything runs; what is refused leaves nothing behind.

    Raises:
        ValueError: A flag, runner, folder, source, scenario or model that cannot be used; the message names it.
        OSError: A file that cannot be read, a folder that cannot be made, or a model that cannot be fetched.
    """
    require_ours(out)
    check_flags(engine.flags)
    pipeline = engine.pipeline()
    workspace = Workspace(str(work_dir.resolve()))
    run_id = f"{config.build.name}-{time.time_ns()}-{os.getpid()}"
    kit = make_kit(config, out.resolve(), workspace, run_id, engine)
    if engine.in_process:
        fetch_models(config, Console(stderr=True))
    claim(kit.out)
    return Ready(config, kit, engine, pipeline)


def run_build(ready: Ready) -> int:
    """Build a dataset, from its sources to its report.

    Returns:
        0, or 1 if the rows that went in are not the rows that came out, or if there were none.
    """
    with ready.kit.workspace.run(ready.kit.run_id):
        return _run_build(ready)


def _run_build(ready: Ready) -> int:
    config, kit, engine, _ = ready
    console, started = Console(), time.time()
    console.print(f"building [bold]{kit.out}[/bold] with {engine.name}")
    chatty = engine.workers > 1 and not logging.getLogger().isEnabledFor(logging.INFO)
    log = Path(kit.run_dir) / "workers.log" if chatty else None
    with errors_to(log) as screen, ProgressDisplay(kit.run_dir, STAGES, Console(file=screen)):
        counts = run_pipeline(ready)
    files = written_files(Path(kit.run_dir))
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
        results={
            "notices": notices(config, counts.get("compose", {}).get(BOXES, 0)),
            "scores": score(config, kit),
            "retrieval": measured_recall(Path(kit.run_dir)),
        },
        run={"started": started, "seconds": round(time.time() - started, 1)},
    )
    write_manifest(kit.out / "manifest.json", manifest)
    write_report(kit.out)
    write_description(Facts(kit.out))
    release(kit.out)
    print_summary(kit.out, console)
    try:
        require_reconciled(ledgers)
    except ReconciliationError as error:
        console.print(f"[bold red]{error}[/bold red]")
        return 1
    empty = [one.modality for one in ledgers if one.modality in ("image", "text") and not one.rows_in]
    for modality in empty:
        console.print(
            f"[bold red]no {modality} was read: look at `{modality}s.source`[/bold red]", highlight=False
        )
    return 1 if empty else 0


def run_pipeline(ready: Ready) -> Counts:
    """Run all stages and return what they counted, stage to name to count."""
    listing = os.path.join(ready.kit.run_dir, "files.jsonl")
    files = assemble(ready.pipeline, ready.config, ready.kit)
    _ = (
        files
        | "AsJson" >> beam.Map(lambda file: json.dumps(file._asdict()))
        | "List" >> beam.io.WriteToText(listing, num_shards=1, shard_name_template="")
    )
    result = ready.pipeline.run()
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


def measured_recall(run_dir: Path) -> dict[str, Any]:
    """What the indexes on disk were chosen to be and how many of the true nearest they find, by pool and split."""
    files = sorted(run_dir.glob("recall-*.json"))
    return {path.stem.removeprefix("recall-"): json.loads(path.read_text(encoding="utf-8")) for path in files}


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
