"""Measure push on a real Label Studio that is killed in the middle: `python -m tests.benchmarks.push --help`.

Pushes pairs, kills the server with SIGKILL halfway, starts it again, pushes twice more, and counts the tasks.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from rich.console import Console
from rich.table import Table

from annotation.environment import install
from tests import postgres
from tests.datasets import rows, write_dataset
from tests.labelstudio import Server

ROOT = Path(__file__).parents[2]
TITLE = "measured"


class Figures(NamedTuple):
    """What was measured."""

    before: int
    """Tasks that had arrived when the server was killed and started again."""
    seconds: tuple[float, float, float]
    """Of the first push until the kill, of the second, and of the third, which had nothing to send."""
    tasks: int
    pairs: int
    """Different pairs among the tasks."""


def measure(server: Server, dataset: Path, count: int, batch: int) -> Figures:
    """Push three times, and kill the server in the first."""
    begun = time.monotonic()
    first = _push(server, dataset, batch)
    while _arrived(server) < count // 2:
        time.sleep(0.05)
    server.kill()
    killed = time.monotonic() - begun
    if first.wait() != 1:
        raise RuntimeError("the push was over before the server was killed; take more pairs")
    server.start()
    before = len(server.tasks(TITLE))
    seconds = [killed, *(_timed(server, dataset, batch) for _ in range(2))]
    pairs = [task["data"]["pair_id"] for task in server.tasks(TITLE)]
    return Figures(before, (seconds[0], seconds[1], seconds[2]), len(pairs), len(set(pairs)))


def main() -> int:
    """Measure and print; 0 if every pair has exactly one task."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--count", type=int, default=2000, help="pairs (default: %(default)s)")
    parser.add_argument("--batch", type=int, default=100, help="tasks a request (default: %(default)s)")
    parser.add_argument("--postgres", action="store_true", help="with a PostgreSQL of its own, not SQLite")
    parser.add_argument(
        "--environment",
        type=Path,
        default=Path("datasets_out/.work/label-studio"),
        help="where Label Studio is installed, or will be (default: %(default)s)",
    )
    arguments = parser.parse_args()
    install(arguments.environment.resolve())
    with tempfile.TemporaryDirectory() as folder, _database(arguments.postgres) as address:
        dataset = write_dataset(Path(folder) / "small", rows(arguments.count))
        server = Server(arguments.environment.resolve(), Path(folder) / "server", address)
        try:
            found = measure(server.start(), dataset, arguments.count, arguments.batch)
        finally:
            server.kill()
    _show(found, arguments.count)
    return 0 if found.tasks == found.pairs == arguments.count else 1


@contextmanager
def _database(wanted: bool) -> Iterator[str]:
    """The address of a PostgreSQL for as long as the block lasts, or an empty one."""
    if not wanted:
        yield ""
        return
    tools = postgres.programs()
    if tools is None:
        raise SystemExit("PostgreSQL is not installed here")
    with postgres.running(tools) as address:
        yield address


def _push(server: Server, dataset: Path, batch: int) -> subprocess.Popen[bytes]:
    places = ["--url", server.url, "--project", TITLE, "--document-root", str(server.document_root)]
    return subprocess.Popen(
        [sys.executable, "-m", "annotation", "push", str(dataset), *places, "--batch", str(batch)],
        cwd=ROOT,
        env={**os.environ, "LABEL_STUDIO_API_KEY": server.token},
        stdout=subprocess.DEVNULL,
    )


def _timed(server: Server, dataset: Path, batch: int) -> float:
    begun = time.monotonic()
    if _push(server, dataset, batch).wait():
        raise RuntimeError("a push failed")
    return time.monotonic() - begun


def _arrived(server: Server) -> int:
    with server.client() as owner:
        listed = owner.get("/api/projects").raise_for_status().json()["results"]
    return sum(found["task_number"] for found in listed if found["title"] == TITLE)


def _show(found: Figures, count: int) -> None:
    table = Table("", "tasks", "seconds", title=f"{count:,} pairs", title_justify="left")
    for column in table.columns[1:]:
        column.justify = "right"
    table.add_row("first push, until the server was killed", f"{found.before:,}", f"{found.seconds[0]:.1f}")
    table.add_row("second push", f"{count - found.before:,}", f"{found.seconds[1]:.1f}")
    table.add_row("third push", "0", f"{found.seconds[2]:.1f}")
    table.add_section()
    table.add_row("in the project", f"{found.tasks:,}", "")
    table.add_row("different pairs among them", f"{found.pairs:,}", "")
    Console().print(table)


if __name__ == "__main__":
    sys.exit(main())
