"""Runs `python -m pipelines.doctor` as a user does, and reads what it found."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
NOBODY = "http://127.0.0.1:9"
"""An address where nobody listens."""


class Checked(NamedTuple):
    """What became of one run of the command."""

    status: int
    stdout: str
    stderr: str

    def of(self, name: str) -> list[tuple[str, str]]:
        """How one matter stands, with what was said and what to do."""
        found = [one for one in json.loads(self.stdout) if one["name"] == name]
        return [(one["status"], f"{one['said']} -> {one['todo']}") for one in found]


def run(command: str, *arguments: str, hub: str = NOBODY, home: Path, **environment: str) -> Checked:
    """Run a module (or a script) against a hub, with the hub's cache in a folder of its own."""
    env = {name: value for name, value in os.environ.items() if not name.startswith(("HF_", "HUGGING"))}
    env |= {"HF_ENDPOINT": hub, "HF_HOME": str(home), "HF_HUB_DISABLE_XET": "1", "HF_DATASETS_OFFLINE": "1"}
    env["PYTHONPATH"] = str(ROOT)
    done = subprocess.run(
        [sys.executable, *([] if command.endswith(".py") else ["-m"]), command, *arguments],
        cwd=ROOT,
        env=env | environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=240,
    )
    return Checked(done.returncode, done.stdout, done.stderr)
