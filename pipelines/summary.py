"""What a build prints when it is over: pairs, yield, what was dropped and why; all from the folder."""

from __future__ import annotations

import os
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.panel import Panel
from rich.table import Table
from rich.text import Text

from pipelines.notices import FOREIGN
from pipelines.report.figures import Exclusion, Figures
from schemas.records import SPLITS
from schemas.taxonomy import load_taxonomy

MESSAGES = 3
"""Different errors that are quoted."""


def print_summary(dataset_dir: str | os.PathLike[str], console: Console) -> None:
    """Print the tables of a dataset folder.

    Raises:
        FileNotFoundError: The folder has no `manifest.json`.
    """
    figures = Figures(dataset_dir)
    for notice in figures.notices:
        console.print(Panel(Text(notice), title="Note", border_style="yellow", expand=False))
    console.print(pairs_table(figures))
    if figures.yields:
        console.print(yield_table(figures))
    if figures.scores:
        console.print(scores_table(figures))
    if figures.exclusions:
        console.print(_dropped("Excluded", "reason", figures.exclusions))
    if figures.failures:
        console.print(_dropped("Failed", "error", figures.failures))
        _print_messages(figures, console)
    _print_ending(figures, console)


def pairs_table(figures: Figures) -> Table:
    """Emergent pairs by hazard and split, and below them all pairs by role."""
    table = _table(f"Pairs of {figures.name}", "emergent, by hazard")
    for split in (*SPLITS, "all"):
        table.add_column(split, justify="right")
    hazards = load_taxonomy().hazards
    for key, counts in figures.hazards.items():
        title = hazards[key].title if key in hazards else key
        table.add_row(escape(title), *_numbers([counts[split] for split in SPLITS]))
    table.add_section()
    for role, counts in figures.roles.items():
        table.add_row(f"all {role}", *_numbers([counts[split] for split in SPLITS]))
    table.add_section()
    totals = [sum(counts[split] for counts in figures.roles.values()) for split in SPLITS]
    table.add_row("all pairs", *_numbers(totals), style="bold")
    return table


def yield_table(figures: Figures) -> Table:
    """The share of judged candidates that are emergent by the judge, and its multiple of the baselines'."""
    table = _table("Yield, by the judge", "how pairs are proposed")
    for name in ("judged", "emergent", "yield", "scenario-guided is"):
        table.add_column(name, justify="right")
    scenario = next((line for line in figures.yields if line.method == "scenario"), None)
    for line in figures.yields:
        factor = scenario.factor_over(line) if scenario and line is not scenario else None
        times = f"{factor:.1f}×" if factor is not None else ""
        table.add_row(
            escape(line.title), f"{line.judged:,}", f"{line.emergent:,}", f"{line.share:.1%}", times
        )
    return table


def scores_table(figures: Figures) -> Table:
    """The measurements against the rules of the world, with how many cases each is over."""
    table = _table("Measured against the rules", "measure")
    table.add_column("value", justify="right")
    table.add_column("of", justify="right")
    for line in figures.scores:
        table.add_row(escape(line.title), line.value, "" if line.of is None else f"{line.of:,}")
    return table


def _dropped(title: str, cause: str, lines: list[Exclusion]) -> Table:
    table = _table(title, "stage")
    table.add_column("what")
    table.add_column(cause)
    table.add_column("rows", justify="right")
    for line in lines:
        table.add_row(escape(line.stage), line.modality, escape(line.reason), f"{line.rows:,}")
    return table


def _print_messages(figures: Figures, console: Console) -> None:
    """What the commonest errors said: it tells what to do."""
    for message, rows in figures.failure_messages[:MESSAGES]:
        console.print(Text(f"{rows:,} x {message}"))
    if others := len(figures.failure_messages[MESSAGES:]):
        console.print(Text(f"and {others:,} other messages, in {Path(figures.path) / 'failed'}"))
    console.print("The same command again goes on: it asks models only what they have not answered.")


def _print_ending(figures: Figures, console: Console) -> None:
    console.print(Text(figures.balance(), style="green" if figures.balanced else "bold red"))
    path = Path(figures.path)
    report = path / "report.html"
    if report.is_file():
        console.print(Text(f"Report:  {report}"), soft_wrap=True)
    if any(path.glob("data/*.parquet")):
        console.print(Text(f'Load it: datasets.load_dataset("{path}")'), soft_wrap=True)
    else:
        _print_advice(figures, console)


def _print_advice(figures: Figures, console: Console) -> None:
    """What may be done where nothing was written."""
    console.print(Text("No pair was written.", style="bold red"))
    if FOREIGN in figures.notices:
        console.print(
            Text(
                "The models of this profile do not know your material. Start from a profile whose models do: python -m "
                "pipelines.doctor laptop --pin laptop.toml, then --profile laptop.toml."
            ),
            soft_wrap=True,
        )
    elif figures.exclusions:
        most = max(figures.exclusions, key=lambda line: line.rows)
        console.print(
            Text(
                f"Most rows were dropped in {most.stage}: {most.reason} ({most.rows:,} of {most.modality}). The report "
                "has the scores; thresholds are set with --set, and what models have answered is not asked again."
            ),
            soft_wrap=True,
        )


def _table(title: str, first: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    return table


def _numbers(counts: list[int]) -> list[str]:
    return [f"{n:,}" if n else "-" for n in (*counts, sum(counts))]
