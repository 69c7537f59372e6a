"""Runs `pipelines.build` as a user does, in a process of its own, and reads what it wrote."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.dataset as ds

from pipelines.storage.manifest import read_manifest
from tests.forked import Command

TIMEOUT = 600.0
"""Seconds after which a build is killed with all its workers."""
ANY_SCORE = (
    "screen.classifier_threshold=1",
    "screen.judge_threshold=1",
    "select.min_joint=0",
    "select.max_alone=1",
    "select.min_emergence=-99",
    "select.max_benign=1",
)
"""Thresholds that let scores of any weights pass, so that a small pool gives pairs."""

_SCENARIOS = """
[[scenario]]
hazard = "phy"
mechanism = "poisoning"
image_queries = ["a picture of a mushroom", "a picture of a flask", "a picture of a fire"]
text_queries = ["someone offering something to eat", "someone urging to touch something"]
why = "Some things must not be eaten or touched."

[[scenario]]
hazard = "prv"
mechanism = "disclosure"
image_queries = ["a picture of a letter", "a picture of a key", "a picture of a passport"]
text_queries = ["someone asking to share something", "someone praising something"]
why = "Some things are nobody else's business."
held_out = true
"""


class Built(NamedTuple):
    """What became of one run of the command."""

    out: Path
    work: Path
    status: int
    stdout: str
    stderr: str
    peak: int
    """The most memory that the process (without its workers) held, in bytes."""

    @property
    def manifest(self) -> dict[str, Any]:
        """The manifest; its absence shows what the command said instead."""
        assert self.status == 0, f"exit status {self.status}\n{self.stdout}\n{self.stderr}"
        return read_manifest(self.out / "manifest.json")

    @property
    def digests(self) -> dict[str, str]:
        """Path to sha256 of everything written to `data/`, `excluded/` and `failed/`."""
        return {file["path"]: file["sha256"] for file in self.manifest["files"]}

    def inferred(self) -> dict[str, int]:
        """Stage to how often its model was asked (or an image drawn) and not the cache."""
        calls = self.manifest["run"]["model_calls"]
        return {stage: count["inferred"] for stage, count in calls.items()}

    def rows(self, folder: str, columns: Iterable[str] | None = None) -> list[dict[str, Any]]:
        """The rows of `data`, `excluded` or `failed`; those of `data` with their `split`."""
        wanted = None if columns is None else list(columns)
        rows = []
        for path in sorted((self.out / folder).glob("*.parquet")):
            split = {"split": path.name.split("-")[0]} if folder == "data" else {}
            rows += [row | split for row in ds.dataset(path).to_table(columns=wanted).to_pylist()]
        return rows


def few_scenarios(folder: Path) -> str:
    """The setting for a dozen scenarios, a half of them held out, in a file that is written to a folder."""
    path = folder / "scenarios.toml"
    path.write_text(_SCENARIOS, encoding="utf-8")
    return f"scenarios.source={path}"


def build(out: Path, work: Path, *arguments: str, settings: Iterable[str] = ()) -> Built:
    """Run the command to its end.

    Args:
        out: Folder of the dataset.
        work: The work directory.
        arguments: Further arguments.
        settings: `stage.key=value` overrides.
    """
    running = start(out, work, *arguments, settings=settings, log=out.with_name(f"{out.name}.log"))
    try:
        status = running.wait(TIMEOUT)
    except BaseException:
        running.kill()
        raise
    return Built(out, work, status, *running.said, running.peak)


def start(out: Path, work: Path, *arguments: str, settings: Iterable[str], log: Path) -> Command:
    """Start the command as leader of a process group of its own, in the root of the repository."""
    out.parent.mkdir(parents=True, exist_ok=True)
    overrides = [f"--set={setting}" for setting in settings]
    # Bytecode of what the command imports must be kept, or every start compiles some seconds of it again.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1"}
    line = [f"--out={out}", f"--work-dir={work}", *overrides, *arguments]
    return Command("pipelines.build", line, log, env)


def build_until(moment: Callable[[], bool], out: Path, work: Path, settings: Iterable[str]) -> None:
    """Start the command and kill it with signal 9 at a moment; it must not have ended before."""
    running = start(out, work, settings=settings, log=out.with_name(f"{out.name}.killed"))
    while not moment():
        time.sleep(0.01)
        assert not running.ended, f"it ended with status {running.wait()} before it could be killed"
    running.kill()
    assert running.wait() == -signal.SIGKILL
