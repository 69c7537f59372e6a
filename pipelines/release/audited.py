"""Whether a dataset may be given away: its audit must have passed, or the publisher says why not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from pipelines.release.contents import ReleaseError
from pipelines.release.facts import Facts


def require_audit(dataset: Path, *, run: bool) -> None:
    """Refuse a dataset whose audit did not pass.

    An `audit.json` of these very shards counts; if there is none, the dataset is audited.

    Args:
        dataset: Its folder; an audit leaves `audit.json` in it.
        run: Whether it may be audited now.

    Raises:
        ReleaseError: The audit did not pass, or there is none and it may not be run.
    """
    found = Facts(dataset).audit
    if found is None and run:
        found = _audited(dataset)
    if found is None:
        raise ReleaseError(f"{dataset} was not audited as it is: python -m pipelines.audit {dataset}")
    if not found["passed"]:
        failed = ", ".join(check["name"] for check in found["checks"] if not check["passed"])
        raise ReleaseError(
            f"the audit of {dataset} did not pass ({failed or 'it is incomplete'}): mend it, or say why it may go out "
            "with --skip-audit REASON"
        )


def _audited(dataset: Path) -> dict[str, Any] | None:
    """Audit a dataset as `python -m pipelines.audit` does, and read what it left."""
    from pipelines.audit import audit
    from pipelines.auditing.results import write_audit
    from pipelines.auditing.section import refresh_report

    report = audit(dataset)
    write_audit(dataset, report)
    refresh_report(dataset, report)
    return Facts(dataset).audit
