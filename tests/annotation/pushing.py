"""The command that pushes, given by tests, and what came of it."""

from __future__ import annotations

import re
import subprocess
import sys
import time
from pathlib import Path

from annotation.__main__ import main
from tests.labelstudio import Server

ROOT = Path(__file__).parents[2]


def push(dataset: Path, server: Server, *more: str, project: str = "", url: str = "") -> int:
    """Give the command here; the project has the name of the dataset's parent unless another is named."""
    project = project or dataset.parent.name
    return main(["push", str(dataset), "--url", url or server.url, "--project", project, *more])


def started(dataset: Path, server: Server, *more: str) -> subprocess.Popen[str]:
    """The same command in a process of its own."""
    project = dataset.parent.name
    command = ["-m", "annotation", "push", str(dataset), "--url", server.url, "--project", project, *more]
    return subprocess.Popen([sys.executable, *command], cwd=ROOT, stderr=subprocess.PIPE, text=True)


def pairs_of(server: Server, project: str) -> list[str]:
    """The pairs of a project's tasks, in the order of the tasks."""
    return [task["data"]["pair_id"] for task in server.tasks(project)]


def counts(printed: str) -> dict[str, int]:
    """The lines of the summary."""
    found = re.findall(r"│ (.+?) +│ +([\d,]+) │", printed)
    return {name: int(count.replace(",", "")) for name, count in found}


def wait_for_tasks(server: Server, project: str, count: int) -> None:
    """Wait until a project has so many tasks; TimeoutError after a minute."""
    until = time.monotonic() + 60
    with server.client() as owner:
        while time.monotonic() < until:
            listed = owner.get("/api/projects", params={"page_size": 1000}).json()["results"]
            if any(found["title"] == project and found["task_number"] >= count for found in listed):
                return
            time.sleep(0.02)
    raise TimeoutError(f"{project} has not got {count} tasks")
