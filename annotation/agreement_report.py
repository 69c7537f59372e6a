"""Agreement as a table on the screen, as JSON and as a picture."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from annotation.agreement import Agreement, questions
from annotation.agreement_plot import draw_agreement
from annotation.alpha import RESAMPLES, Alpha
from annotation.annotators import Annotator, as_json
from annotation.answers import FOLDER
from annotation.intervals import Rate
from annotation.storing import write_bytes, write_json
from schemas.taxonomy import load_taxonomy


def write_agreement(found: Agreement, dataset: Path) -> list[Path]:
    """Write `agreement.json` and `agreement.png` beside the annotations, and return their paths."""
    folder = dataset / FOLDER
    paths = [folder / "agreement.json", folder / "agreement.png"]
    write_json(paths[0], as_data(found))
    write_bytes(paths[1], draw_agreement(found))
    return paths


def as_data(found: Agreement) -> dict[str, Any]:
    """The figures as plain data."""
    return {
        "questions": {name: one._asdict() for name, one in found.questions.items()},
        "hazards": {
            hazard: {name: one._asdict() for name, one in by_question.items()}
            for hazard, by_question in found.hazards.items()
        },
        "annotators": {name: as_json(one) for name, one in found.annotators.items()},
        "pairs_of_annotators": [one._asdict() for one in found.comparisons],
        "left_out": found.left_out,
        "unknown_pairs": found.unknown_pairs,
        "notes": found.notes,
        "resamples": RESAMPLES,
    }


def print_agreement(found: Agreement, written: list[Path]) -> None:
    """Print the tables, the notes and where the files are."""
    console = Console()
    console.print(_alpha_table(found))
    console.print(_annotator_table(found.annotators))
    left_out = ", ".join(f"{count:,} {why}" for why, count in found.left_out.items() if count)
    if left_out:
        console.print(f"Alpha leaves out annotations: {left_out}.", highlight=False)
    for note in found.notes:
        console.print(f"Note: {note}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    for path in written:
        console.print(f"Written: {path}", markup=False, highlight=False, soft_wrap=True)


def _alpha_table(found: Agreement) -> Table:
    table = _table("Krippendorff's alpha", "", "alpha", "95 % interval", "same", "pairs")
    for name, one in found.questions.items():
        table.add_row(questions()[name].title, *_cells(one))
    table.add_section()
    table.add_row("Verdict, by the machine's hazard")
    hazards = load_taxonomy().hazards
    for key, by_question in found.hazards.items():
        title = hazards[key].title if key in hazards else "No hazard"
        table.add_row(f"  {title}", *_cells(by_question["verdict"]))
    return table


def _cells(one: Alpha) -> list[str]:
    between = "" if one.low is None or one.high is None else f"{one.low:.2f} to {one.high:.2f}"
    return [
        f"{one.alpha:.3f}" if one.alpha is not None else "-",
        between or one.why or "too few pairs",
        f"{one.agreement:.1%}" if one.agreement is not None else "-",
        f"{one.pairs:,}",
    ]


def _annotator_table(annotators: dict[str, Annotator]) -> Table:
    columns = ("pairs", "skips", "seconds", "same as others", "right on gold")
    table = _table("Annotators", "", *columns)
    for name, one in annotators.items():
        gold = one.accuracy.get("joint_harmful")
        table.add_row(
            name[:8],
            f"{one.annotations:,}",
            f"{one.skips:,}",
            f"{one.seconds:.0f}" if one.seconds is not None else "-",
            f"{one.agreement:.1%}" if one.agreement is not None else "-",
            _gold(gold),
        )
    return table


def _gold(one: Rate | None) -> str:
    if one is None or one.share is None:
        return "-"
    return f"{one.right} of {one.of} ({one.low:.0%} to {one.high:.0%})"


def _table(title: str, first: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left", title_style="bold")
    table.add_column(first)
    for name in columns:
        table.add_column(name, justify="right")
    return table
