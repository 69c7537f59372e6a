"""Send a dataset's pairs to a Label Studio project, each once: `python -m annotation push --help`.

The access token is read from LABEL_STUDIO_API_KEY. The command may be given again at any time, also after a crash of
either side: pairs that the project has are not sent again.
"""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from annotation.dataset import AnnotationError

if TYPE_CHECKING:
    from annotation.sending import Outcome

DOCUMENT_ROOT = "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT"
SERVED = "datasets_out/.annotation/pictures"
"""The document root of the server that `python -m annotation serve` starts."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m annotation push",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("dataset", type=Path, help="a finished dataset")
    add("--url", required=True, help="the server's address, as `serve` prints it")
    add("--project", default="", help="number or title (default: that of `serve`); a new title is made")
    add("--overlap", type=_count, help="annotators a pair (default: 2 for a new project)")
    add(
        "--gold",
        type=Path,
        help="CSV or Parquet of known answers: pair_id, joint_harmful (yes, no), and others",
    )
    add("--gold-share", type=_share, default=0.1, help="of the tasks sent (default: %(default)s)")
    add("--limit", type=_count, help="the most pairs to send now")
    add(
        "--storage",
        choices=("local", "s3", "gcs", "server"),
        default="local",
        help="who shows the pictures: Label Studio from a folder or a bucket, or a web server (default: local)",
    )
    add(
        "--document-root",
        default=os.environ.get(DOCUMENT_ROOT, SERVED),
        help="the folder that the server shows, or s3://bucket/folder, gs://bucket/folder (default: %(default)s)",
    )
    add("--address", default="", help="where your own web server shows the document root (storage server)")
    add("--batch", type=_count, default=100, help="tasks a request (default: %(default)s)")
    add("--show-verdict", action="store_true", help="show the judge's verdict, which anchors annotators")
    add("--round", type=int, choices=(1, 2), default=1, help="2: what the first round left open (default: 1)")
    add("--dry-run", action="store_true", help="say what would be sent, and change nothing on the server")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Push; 0 if every pair is where it should be, 1 with one line of explanation if not."""
    arguments = parser().parse_args(argv)
    try:
        from annotation.sending import run

        outcome = run(arguments)
    except (AnnotationError, OSError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 1
    _report(outcome, arguments)
    if outcome.broken:
        pair, reason = min(outcome.broken.items())
        sys.stderr.write(f"crossharm: {len(outcome.broken)} pairs were left out, such as {pair}: {reason}\n")
    return 1 if outcome.broken else 0


def _report(outcome: Outcome, arguments: argparse.Namespace) -> None:
    """Print the table in which the pairs of the dataset add up."""
    from rich.console import Console
    from rich.table import Table

    table = Table(
        "",
        "pairs",
        title=f"{arguments.dataset.resolve().name}, round {arguments.round}",
        title_justify="left",
    )
    table.columns[1].justify = "right"
    table.add_row("in the project already", f"{outcome.queue.present:,}")
    table.add_row("would be sent" if arguments.dry_run else "sent", f"{outcome.sent:,}")
    for reason, count in outcome.left_out.items():
        table.add_row(f"left out: {reason}", f"{count:,}")
    table.add_section()
    table.add_row("in the dataset", f"{outcome.pairs:,}")
    console = Console()
    console.print(table)
    if outcome.removed:
        console.print(f"{outcome.removed:,} tasks that showed a pair a second time were deleted")


def _count(text: str) -> int:
    if not text.isdecimal() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is no whole number from 1 on")
    return int(text)


def _share(text: str) -> float:
    try:
        share = float(text)
    except ValueError:
        share = -1.0
    if not 0 <= share <= 0.5:
        raise argparse.ArgumentTypeError(f"{text!r} is no share between 0 and 0.5")
    return share
