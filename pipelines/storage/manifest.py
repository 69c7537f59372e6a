"""The manifest: what a build was made with and what it wrote; and the check that no row was lost."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from collections.abc import Iterable, Mapping, Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any, NamedTuple

from pipelines.storage.shards import ShardFile
from schemas.config import BuildConfig

LIBRARIES = (
    "crossharm",
    "apache-beam",
    "torch",
    "transformers",
    "open-clip-torch",
    "faiss-cpu",
    "pyarrow",
    "datasets",
    "opencv-python-headless",
    "pillow",
    "numpy",
)
"""Distributions whose versions a build's result may depend on."""
MODEL_COUNTS = ("cached", "inferred")
"""Counts of a run, not of its result: a second run finds in the cache what the first inferred."""

Counts = Mapping[str, Mapping[str, int]]
"""Stage to name to count."""


class ReconciliationError(RuntimeError):
    """The rows that went in are not the rows that came out."""


class Ledger(NamedTuple):
    """What became of the rows of one modality (`image`, `text` or `candidate`)."""

    modality: str
    rows_in: int
    written: int
    """Rows that reached their end without being dropped."""
    excluded: int
    failed: int


def reconcile(ledgers: Iterable[Ledger]) -> list[str]:
    """Say of every modality whose rows do not add up by how much; an empty list if all do."""
    return [_discrepancy(ledger) for ledger in ledgers if _lost(ledger)]


def require_reconciled(ledgers: Iterable[Ledger]) -> None:
    """Raise ReconciliationError, naming every discrepancy, unless all rows are accounted for."""
    if discrepancies := reconcile(ledgers):
        raise ReconciliationError("rows in and out differ:\n  " + "\n  ".join(discrepancies))


def library_versions() -> dict[str, str]:
    """The installed version of every library of `LIBRARIES`; `not installed` for one that is absent."""
    return {name: _version(name) for name in LIBRARIES}


def dataset_digest(files: Iterable[ShardFile]) -> str:
    """A sha256 (hex) over paths and digests of the files in `data/`, in the order of their paths."""
    digest = hashlib.sha256()
    for file in sorted(files):
        if file.path.startswith("data/"):
            digest.update(f"{file.path} {file.sha256}\n".encode())
    return digest.hexdigest()


def config_digest(config: BuildConfig) -> str:
    """A sha256 (hex) of the configuration as JSON with sorted keys."""
    return hashlib.sha256(_compact(config.model_dump(mode="json")).encode()).hexdigest()


def build_manifest(
    config: BuildConfig,
    *,
    versions: Mapping[str, str],
    engine: str,
    counts: Counts,
    files: Sequence[ShardFile],
    ledgers: Sequence[Ledger] = (),
    models: Mapping[str, str] | None = None,
    results: Mapping[str, Any] | None = None,
    run: Mapping[str, Any] | None = None,
) -> dict[str, Any]:
    """The manifest as plain data; everything outside `run` is equal for equal builds.

    Args:
        config: What decided the build.
        versions: Library to version, from `library_versions`.
        engine: The Beam runner that ran.
        counts: Beam's metrics, stage to name to count.
        files: What was written.
        ledgers: What became of the rows, by modality.
        models: Step to fingerprint of its model.
        results: Further entries that are equal for equal builds, such as scores and notices.
        run: Whatever else tells about this run alone, such as dates and seconds.
    """
    return {
        **(results or {}),
        "crossharm": versions.get("crossharm", "unknown"),
        "configuration": config.model_dump(mode="json"),
        "configuration_sha256": config_digest(config),
        "versions": dict(versions),
        "models": dict(models or {}),
        "counts": _result_counts(counts),
        "rows": {ledger.modality: _without_modality(ledger) for ledger in ledgers},
        "files": [file._asdict() for file in sorted(files)],
        "dataset_digest": dataset_digest(files),
        "run": {**(run or {}), "engine": engine, "model_calls": _model_calls(counts)},
    }


def write_manifest(path: Path, manifest: Mapping[str, Any]) -> None:
    """Write sorted, indented JSON; the file is there in full or not at all."""
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}.part")
    text = json.dumps(manifest, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


def read_manifest(path: Path) -> dict[str, Any]:
    """Read a manifest; FileNotFoundError if the build did not finish."""
    manifest: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    return manifest


def _lost(ledger: Ledger) -> int:
    return ledger.rows_in - ledger.written - ledger.excluded - ledger.failed


def _discrepancy(ledger: Ledger) -> str:
    lost = _lost(ledger)
    what = f"{lost:,} lost" if lost > 0 else f"{-lost:,} too many"
    out = f"{ledger.written:,} written + {ledger.excluded:,} excluded + {ledger.failed:,} failed"
    return f"{ledger.modality}: {ledger.rows_in:,} in, but {out} ({what})"


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return "not installed"


def _compact(value: Any) -> str:
    return json.dumps(value, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def _result_counts(counts: Counts) -> dict[str, dict[str, int]]:
    """The counts without those of the cache, which differ between a first and a second run."""
    kept = {
        stage: {name: n for name, n in names.items() if name not in MODEL_COUNTS}
        for stage, names in counts.items()
    }
    return {stage: names for stage, names in kept.items() if names}


def _model_calls(counts: Counts) -> dict[str, dict[str, int]]:
    """`cached` and `inferred` of every stage that asks a model."""
    return {
        stage: {name: names.get(name, 0) for name in MODEL_COUNTS}
        for stage, names in counts.items()
        if any(name in names for name in MODEL_COUNTS)
    }


def _without_modality(ledger: Ledger) -> dict[str, int]:
    return {name: value for name, value in ledger._asdict().items() if name != "modality"}
