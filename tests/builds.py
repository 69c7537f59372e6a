"""Runs `python -m pipelines.build` the way a user does, in a process of its own, and reads what it wrote."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow.dataset as ds

from pipelines.storage.manifest import read_manifest

ROOT = Path(__file__).parents[1]
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
    log = out.with_name(f"{out.name}.log")
    process = start(out, work, *arguments, settings=settings, log=log)
    watchdog = threading.Timer(TIMEOUT, kill, [process])
    watchdog.start()
    try:
        _, status, usage = os.wait4(process.pid, 0)
    except BaseException:
        kill(process)
        raise
    finally:
        watchdog.cancel()
    process.returncode = os.waitstatus_to_exitcode(status)
    said = [Path(f"{log}.{name}").read_text(encoding="utf-8") for name in ("out", "err")]
    return Built(out, work, process.returncode, said[0], said[1], usage.ru_maxrss * 1024)


def start(
    out: Path, work: Path, *arguments: str, settings: Iterable[str], log: Path
) -> subprocess.Popen[bytes]:
    """Start the command as leader of a process group of its own, in the root of the repository."""
    out.parent.mkdir(parents=True, exist_ok=True)
    overrides = [f"--set={setting}" for setting in settings]
    command = [sys.executable, "-m", "pipelines.build", f"--out={out}", f"--work-dir={work}"]
    # Bytecode of what the command imports must be kept, or every start compiles some seconds of it again.
    env = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    env |= {"HF_HUB_OFFLINE": "1", "HF_DATASETS_OFFLINE": "1", "OMP_WAIT_POLICY": "passive"}
    with open(f"{log}.out", "wb") as stdout, open(f"{log}.err", "wb") as stderr:
        return subprocess.Popen(
            [*command, *overrides, *arguments],
            cwd=ROOT,
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=stdout,
            stderr=stderr,
            start_new_session=True,
        )


def kill(process: subprocess.Popen[bytes]) -> None:
    """`kill -9` a build and its workers."""
    os.killpg(process.pid, signal.SIGKILL)


def build_until(moment: Callable[[], bool], out: Path, work: Path, settings: Iterable[str]) -> None:
    """Start the command and kill it with signal 9 at a moment; it must not have ended before."""
    process = start(out, work, settings=settings, log=out.with_name(f"{out.name}.killed"))
    while not moment():
        time.sleep(0.01)
        assert process.poll() is None, f"it ended with status {process.returncode} before it could be killed"
    kill(process)
    assert process.wait() == -signal.SIGKILL
