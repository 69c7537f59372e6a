"""Bring a project's annotations into the dataset: `python -m annotation pull --help`.

Only tasks that changed since the last pull are read; annotators may go on meanwhile. An annotation that was changed
replaces the earlier one, and one that was deleted is deleted here, too. `--all` reads every task again, which also
finds tasks that were deleted. Annotators appear under salted hashes; the salt stays in annotations/salt and is no
part of what is published. The access token is read from LABEL_STUDIO_API_KEY.
"""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from annotation.dataset import AnnotationError, Dataset, locked, open_dataset
from annotation.merge import News, merge
from annotation.store import REJECTED, Seen, Store, load, salt, save
from annotation.submission import Context, annotation_id, choices

if TYPE_CHECKING:
    from annotation.studio import Studio

OVERLAP = timedelta(minutes=10)
"""Tasks changed so long before the last pull are read again: a slow write may appear late under an early time."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m annotation pull",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("dataset", type=Path, help="the dataset that was pushed")
    add("--url", required=True, help="the server's address, as `serve` prints it")
    add("--project", default="", help="number or title (default: that of `serve`)")
    add("--all", action="store_true", help="read every task again, not only those that changed")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Pull; 0 if it succeeded, also if annotations had to be refused, 1 with one line of explanation if not."""
    arguments = parser().parse_args(argv)
    try:
        dataset = open_dataset(arguments.dataset)
        with locked(dataset.path):
            store, news, key = run(dataset, arguments.url, arguments.project, arguments.all)
    except (AnnotationError, OSError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 1
    _report(dataset, store, news, key)
    return 0


def run(dataset: Dataset, url: str, project: str, everything: bool) -> tuple[Store, News, str]:
    """Read, merge and write.

    Returns:
        All that is stored now, what is new in it, and the key of the project in it.

    Raises:
        AnnotationError: Something that the user can put right.
        OSError: A file cannot be written.
    """
    from annotation.gold import stored_gold
    from annotation.labelling import labelling_config, project_title
    from annotation.studio import connect, require_configuration
    from schemas.taxonomy import load_taxonomy

    store, taxonomy = load(dataset.folder), load_taxonomy()
    studio = connect(url, project or project_title(dataset.path.resolve().name))
    require_configuration(studio, *(labelling_config(taxonomy, verdict) for verdict in (False, True)))
    context = Context(
        studio.key,
        frozenset(pair.id for pair in dataset.pairs),
        frozenset(stored_gold(dataset.folder)),
        choices(taxonomy),
        salt(dataset.folder),
    )
    # Asked before anything is read: what is submitted meanwhile must be read by the next pull.
    since = _earlier(studio.latest_change())
    seen = store.projects.get(studio.key, Seen())
    tasks = _tasks(studio, "" if everything else seen.since)
    news = merge(store, studio.project_id, tasks, context, everything=everything)
    store.projects[studio.key] = store.projects[studio.key]._replace(since=since or seen.since)
    save(dataset.folder, store)
    return store, news, studio.key


def _tasks(studio: Studio, since: str) -> Iterator[dict[str, Any]]:
    from rich.console import Console
    from rich.progress import Progress, SpinnerColumn, TextColumn

    columns = (SpinnerColumn(), TextColumn("{task.completed:,.0f} tasks read"))
    console = Console(stderr=True)
    with Progress(*columns, console=console, transient=True, disable=not console.is_terminal) as progress:
        bar = progress.add_task("", total=None)
        for task in studio.tasks(since=since, annotations=True):
            progress.advance(bar)
            yield task


def _earlier(moment: str) -> str:
    """`OVERLAP` before a moment, as the server's filter wants it; empty stays empty."""
    if not moment:
        return ""
    return f"{(datetime.fromisoformat(moment).astimezone(UTC) - OVERLAP):%Y-%m-%dT%H:%M:%S.%fZ}"


def _report(dataset: Dataset, store: Store, news: News, project: str) -> None:
    """Print what came, and the table in which the annotations of the project add up."""
    from rich.console import Console
    from rich.table import Table

    seen = {
        annotation_id(project, int(number))
        for annotations in store.projects[project].tasks.values()
        for number in annotations
    }
    reasons = Counter(store.rejected[key].reason for key in seen & store.rejected.keys())
    table = Table("", "annotations", title="Pulled", title_justify="left")
    table.columns[1].justify = "right"
    table.add_row("accepted", f"{len(seen & store.annotations.keys()):,}")
    for reason, count in sorted(reasons.items()):
        table.add_row(f"rejected: {reason}", f"{count:,}")
    table.add_section()
    table.add_row("in the project", f"{len(seen):,}")
    console = Console()
    console.print(table)
    console.print(f"{news.new:,} new, {news.updated:,} updated, {news.deleted:,} deleted since the last pull")
    if reasons:
        console.print(f"Rejected ones are listed in {dataset.folder / REJECTED}", soft_wrap=True)
