"""Settle every pair by its annotations: `python -m annotation adjudicate --help`.

Yes, no and unsure are three answers; a question on which unsure is the likeliest is not settled. Hazard and
mechanism are the commonest ones, and severity the median, of those who found the pair harmful. Ties and what is
uncertain stay open for an expert, to whom `push --round 2` sends them; an expert's answer settles. Disagreement is
kept: votes, agreement and every rationale are in annotations/adjudicated.parquet.
"""

from __future__ import annotations

import argparse
import shlex
import sys
from collections import Counter
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from annotation.answers import Answers
    from annotation.settle import Settled


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m annotation adjudicate",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("dataset", type=Path, help="a dataset folder whose annotations were pulled")
    add(
        "--method",
        choices=("majority", "dawid_skene"),
        help="how votes count together (default: dawid_skene, which weighs annotators by what they get wrong, where "
        "three of them share a hundred pairs; else majority)",
    )
    add(
        "--min-confidence",
        type=float,
        metavar="P",
        help="settle a question from this probability on (default: 0.9 for dawid_skene, 0.6 for majority)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Adjudicate, write and print; 0 if it was written, 2 if something cannot be used."""
    arguments = parser().parse_args(argv)
    from annotation.adjudicated import write_adjudicated
    from annotation.answers import FOLDER, AnnotationsError, read_answers
    from annotation.settle import settle
    from annotation.storing import write_json

    limit = arguments.min_confidence
    if limit is not None and not 0.5 <= limit <= 1:
        sys.stderr.write(f"crossharm: --min-confidence lies between 0.5 and 1, not {limit}\n")
        return 2
    try:
        answers = read_answers(arguments.dataset)
        settled = settle(answers, arguments.method, limit)
        write_json(arguments.dataset / FOLDER / "adjudication.json", summary(settled, answers))
        write_adjudicated(arguments.dataset, settled.rows, answers.digest)
    except (AnnotationsError, OSError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 2
    _print(settled, answers, arguments.dataset)
    return 0


def summary(settled: Settled, answers: Answers) -> dict[str, Any]:
    """How the pairs were settled, with each annotator's error rates where the method learns them."""
    rows = settled.rows
    return {
        "method": settled.method,
        "min_confidence": settled.min_confidence,
        "pairs": len(rows),
        "status": dict(sorted(Counter(row.status for row in rows).items())),
        "settled_by": dict(sorted(Counter(row.method for row in rows if row.status == "settled").items())),
        "joint_harmful": dict(
            sorted(Counter(row.joint_harmful for row in rows if row.joint_harmful).items())
        ),
        "error_rates": settled.errors,
        "unknown_pairs": answers.unknown,
        "inputs_sha256": answers.digest,
    }


def _print(settled: Settled, answers: Answers, dataset: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from annotation.answers import FOLDER, unknown_notice

    found = summary(settled, answers)
    table = Table(title=f"Adjudication by {settled.method}", title_justify="left", title_style="bold")
    table.add_column("pairs")
    table.add_column("", justify="right")
    table.add_row("annotated", f"{found['pairs']:,}")
    for status, count in found["status"].items():
        table.add_row(status.replace("_", " "), f"{count:,}")
    for answer, count in found["joint_harmful"].items():
        table.add_row(f"harmful together: {answer}", f"{count:,}")
    console = Console()
    console.print(table)
    if notice := unknown_notice(answers):
        console.print(f"Note: {notice}", style="yellow", markup=False, highlight=False, soft_wrap=True)
    folder = dataset / FOLDER
    lines = [f"Written: {folder / 'adjudicated.parquet'}"]
    if settled.open():
        command = ["python", "-m", "annotation", "push", str(dataset), "--round", "2", "--url", "ADDRESS"]
        lines.append(f"{len(settled.open()):,} pairs need an expert: {shlex.join(command)}")
    for line in lines:
        console.print(line, markup=False, highlight=False, soft_wrap=True)
