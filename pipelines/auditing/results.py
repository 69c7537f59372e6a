"""What an audit found: checks with their limits, figures for the plots, and how they are kept in `audit.json`."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, NamedTuple

from pipelines.storage.manifest import dataset_digest
from pipelines.storage.shards import ShardFile, describe

AUDIT_FILE = "audit.json"
VERSION = 1
"""Of the form of `audit.json`, and of what the checks mean."""
DIGITS = 4
"""Decimals that are kept; the last bits of a fit may differ between machines."""

Kind = Literal["shortcuts", "leaks", "coverage", "integrity"]
KINDS: tuple[Kind, ...] = ("shortcuts", "leaks", "coverage", "integrity")


class Check(NamedTuple):
    """One question that the audit asks, and its answer."""

    kind: Kind
    name: str
    """Snake case; unique, and stable between audits."""
    title: str
    passed: bool
    value: float | None
    interval: tuple[float, float] | None
    """95 %, where the value is an estimate."""
    limit: Mapping[str, float]
    """By `at_least`, `at_most`, `interval_at_least` and `interval_at_most`; empty for a figure without a limit."""
    reason: str
    """In plain words, what was found, and why that passes or not."""


class Report(NamedTuple):
    """An audit of one dataset."""

    dataset_digest: str
    """Of the shards in `data/` as they are, not as the manifest says; ties the audit to what it looked at."""
    probed: bool
    """Whether the shortcut probes were run."""
    checks: tuple[Check, ...]
    figures: Mapping[str, Any]
    """What the plots show beside the checks, as plain data."""

    @property
    def passed(self) -> bool:
        """Whether every check passed, and no kind of them was left out."""
        return self.probed and all(check.passed for check in self.checks)

    @property
    def failures(self) -> list[Check]:
        """The checks that did not pass."""
        return [check for check in self.checks if not check.passed]

    def as_json(self) -> str:
        """Sorted, indented JSON; equal audits give equal text."""
        data = {
            "version": VERSION,
            "passed": self.passed,
            **self._asdict(),
            "checks": [check._asdict() for check in self.checks],
        }
        return json.dumps(data, indent=2, sort_keys=True, ensure_ascii=False, allow_nan=False) + "\n"


def write_audit(dataset: Path, report: Report) -> Path:
    """Write `audit.json` into a dataset; it is there in full or not at all."""
    path = dataset / AUDIT_FILE
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}.part")
    try:
        temporary.write_text(report.as_json(), encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return path


def read_audit(dataset: Path) -> Report | None:
    """The audit that lies in a dataset, or None.

    Raises:
        ValueError: The file is no audit of this version.
    """
    path = dataset / AUDIT_FILE
    if not path.is_file():
        return None
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
        if data["version"] != VERSION:
            raise ValueError(f"version {data['version']}")
        checks = tuple(_check(check) for check in data["checks"])
        return Report(data["dataset_digest"], data["probed"], checks, data["figures"])
    except (ValueError, KeyError, TypeError) as error:
        raise ValueError(f"{path} is no audit of this version ({error}); audit the dataset again") from None


def belongs(report: Report, dataset: Path) -> bool:
    """Whether an audit is of the shards that are in `data/` now; reads them all."""
    return report.dataset_digest == dataset_digest(written_shards(dataset))


def written_shards(dataset: Path) -> list[ShardFile]:
    """The shards in `data/` as they are, measured anew (with 0 for their rows)."""
    paths = sorted((dataset / "data").glob("*.parquet"))
    return [describe(dataset, f"data/{path.name}", path.name.split("-")[0], 0) for path in paths]


def _check(data: Mapping[str, Any]) -> Check:
    interval = data["interval"]
    return Check(**{**data, "interval": interval and (interval[0], interval[1])})
