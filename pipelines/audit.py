"""Audit a dataset before it is released: shortcuts, leaks, coverage and integrity.

Writes `audit.json` into the dataset and a section into its report. Exit status 0: all within the limits; 1: some
check failed; 2: the dataset cannot be audited.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from pipelines.auditing.limits import Limits, with_overrides
from pipelines.auditing.results import Check, Report, belongs, read_audit, write_audit
from pipelines.auditing.run import audit
from pipelines.auditing.wording import ending, found, limits_of
from pipelines.logs import quiet


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.audit",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="limits: "
        + ", ".join(f"{name}={_shown(value)}" for name, value in Limits()._asdict().items()),
    )
    add = parser.add_argument
    add("dataset", type=Path, help="the folder that a build or finalize wrote")
    add(
        "--limit",
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help="change one limit; `none` takes it away",
    )
    add("--json", action="store_true", help="print audit.json instead of a table")
    add(
        "--no-probes",
        action="store_true",
        help="leave out what needs the dual encoder; then nothing can pass",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Audit, write and print; returns the exit status."""
    arguments = parser().parse_args(argv)
    quiet(False)
    from pipelines.auditing.section import refresh_report

    try:
        limits = with_overrides(Limits(), arguments.limit)
        report = audit(arguments.dataset, limits, probes=not arguments.no_probes, track=_track)
        write_audit(arguments.dataset, report)
        refresh_report(arguments.dataset, report)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 2
    if arguments.json:
        sys.stdout.write(report.as_json())
    else:
        _print(report, arguments.dataset)
    return 1 if report.failures else 0


def _track(items: Iterable[Any], what: str, total: int) -> Iterable[Any]:
    from rich.console import Console
    from rich.progress import track

    return track(items, what, total=total, console=Console(stderr=True))


def _print(report: Report, dataset: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    console = Console()
    table = Table("", "check", "found", "limit", title=f"Audit of {dataset}", title_justify="left")
    for number, check in enumerate(report.checks):
        if number and check.kind != report.checks[number - 1].kind:
            table.add_section()
        mark = "[green]ok[/]" if check.passed else "[red]fails[/]"
        table.add_row(mark if check.limit else "", check.title, found(check), limits_of(check))
    console.print(table)
    for check in report.failures:
        console.print(f"[red]{check.name}[/]: {check.reason}", highlight=False)
    console.print(ending(report), highlight=False)


def _shown(value: float | None) -> str:
    return "none" if value is None else f"{value:g}"


__all__ = ["Check", "Limits", "Report", "audit", "belongs", "main", "parser", "read_audit"]

if __name__ == "__main__":
    sys.exit(main())
