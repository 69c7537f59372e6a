"""Measure the pipeline: `make bench`, or `python -m tests.benchmarks.run --help`. Nothing is downloaded."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from tests.benchmarks.measurements import MEASUREMENTS, Figure, Setting
from tests.benchmarks.pool import Pool, make_pool


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.run", description=__doc__)
    parser.add_argument(
        "--only", action="append", choices=sorted(MEASUREMENTS), help="measure this alone (may be repeated)"
    )
    parser.add_argument("--scale", type=float, default=1.0, help="share of the full sizes (default: 1)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures there, too")
    parser.add_argument("--folder", type=Path, help="where 15 GB fit for a while (default: the system's)")
    return parser


def measure_all(names: Sequence[str], scale: float, folder: Path, console: Console) -> list[Figure]:
    """Make the pool and run the measurements one after the other."""
    needed = max(200, round(max(MEASUREMENTS[name][1] for name in names) * scale))
    pool = _pool(folder, needed, console)
    figures: list[Figure] = []
    for name in names:
        console.print(f"measuring [bold]{name}[/bold]")
        with tempfile.TemporaryDirectory(dir=folder) as place:
            figures += MEASUREMENTS[name][0](Setting(Path(place), pool, scale))
    return figures


def _pool(folder: Path, count: int, console: Console) -> Pool:
    with Progress(console=console, transient=True) as progress:
        task = progress.add_task(f"drawing {count:,} images", total=count)
        return make_pool(folder / "pool", count, lambda drawn: progress.advance(task, drawn))


def show(figures: Sequence[Figure], console: Console) -> None:
    """Print the table of results."""
    table = Table("measurement", title="benchmarks", title_justify="left")
    for column in ("figure", "limit", ""):
        table.add_column(column, justify="right")
    for figure in figures:
        limit = "" if figure.limit is None else f"{figure.limit:,.2f} {figure.unit}"
        verdict = "" if figure.limit is None else "[green]ok" if figure.ok else "[bold red]missed"
        table.add_row(figure.measurement, f"{figure.value:,.2f} {figure.unit}", limit, verdict)
    console.print(table)
    console.print("Ingest to write runs without models: its probabilities are zeros. Peaks are VmHWM.")


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print; 1 if a limit is missed."""
    arguments = parser().parse_args(argv)
    console = Console()
    if arguments.folder:
        arguments.folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix="crossharm-bench-", dir=arguments.folder) as folder:
        names = arguments.only or list(MEASUREMENTS)
        figures = measure_all(names, arguments.scale, Path(folder), console)
    show(figures, console)
    if arguments.json:
        rows = [{**figure._asdict(), "ok": figure.ok} for figure in figures]
        arguments.json.write_text(json.dumps(rows, indent=2) + "\n", encoding="utf-8")
    return 0 if all(figure.ok for figure in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
