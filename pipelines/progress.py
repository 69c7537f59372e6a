"""How far a build is: each process counts into a small file of its own, and the display sums the files.

Beam's metrics can only be read when a run is over, so every count goes both there and to
`<run_dir>/progress/`, which the main process polls. That works for threads, for `multi_processing` and for
any worker that shares the disk.
"""

from __future__ import annotations

import atexit
import json
import os
import threading
import time
from collections import deque
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple

from apache_beam.metrics.metric import Metrics
from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn

INTERVAL = 0.3
"""Seconds between two writes of a process's file, and between two looks of the display."""
PLAIN_INTERVAL = 10.0
"""Seconds between two lines about a stage when the output is no terminal."""
RATE_WINDOW = 15.0
"""Seconds over which the rate is taken."""
EXPECTED = "expected"

Counts = dict[str, dict[str, int]]
"""Stage to name to count."""


class _ProcessFile:
    """The counts of this process, written as a whole with an atomic rename."""

    def __init__(self, run_dir: str) -> None:
        self.pid = os.getpid()
        self._path = Path(run_dir) / "progress" / f"{self.pid}-{time.time_ns()}.json"
        self._counts: Counts = {}
        self._lock = threading.Lock()
        self._written = 0.0
        self._dirty = False

    def add(self, stage: str, name: str, n: int) -> None:
        with self._lock:
            counts = self._counts.setdefault(stage, {})
            counts[name] = counts.get(name, 0) + n
            self._dirty = True
            if time.monotonic() - self._written >= INTERVAL:
                self._write()

    def flush(self) -> None:
        with self._lock:
            if self._dirty:
                self._write()

    def _write(self) -> None:
        self._path.parent.mkdir(parents=True, exist_ok=True)
        temporary = self._path.with_suffix(".part")
        temporary.write_text(json.dumps(self._counts), encoding="utf-8")
        os.replace(temporary, self._path)
        self._written, self._dirty = time.monotonic(), False


_files: dict[str, _ProcessFile] = {}
_files_lock = threading.Lock()


def _file_of(run_dir: str) -> _ProcessFile:
    """This process's file of a run; a forked child starts a file of its own."""
    with _files_lock:
        current = _files.get(run_dir)
        if current is None or current.pid != os.getpid():
            current = _files[run_dir] = _ProcessFile(run_dir)
        return current


@atexit.register
def _flush_all() -> None:
    for file in list(_files.values()):
        # At exit the run's directory may be gone already (a test's, say), and then nobody is watching it.
        if file.pid == os.getpid() and file._path.parent.is_dir():
            file.flush()


class Tally:
    """Counts what a stage does: as Beam metrics of namespace `crossharm/<stage>`, and for the display.

    Safe to share between threads. Pickles to its run directory and stage, so a DoFn can carry it. With an
    empty `run_dir` it counts metrics only. Usual names: `in`, `kept`, `excluded`, `failed`, `cached`,
    `inferred`; a stage's progress is `in`, or `done` where it counts that.
    """

    def __init__(self, run_dir: str, stage: str) -> None:
        self.run_dir = run_dir
        self.stage = stage
        self._metrics: dict[str, Any] = {}

    def __reduce__(self) -> tuple[type[Tally], tuple[str, str]]:
        return Tally, (self.run_dir, self.stage)

    def count(self, name: str, n: int = 1) -> None:
        """Add `n` to a named count of this stage."""
        counter = self._metrics.get(name)
        if counter is None:
            counter = self._metrics[name] = Metrics.counter(f"crossharm/{self.stage}", name)
        counter.inc(n)
        if self.run_dir:
            _file_of(self.run_dir).add(self.stage, name, n)

    def expect(self, n: int) -> None:
        """Announce that `n` more elements come to this stage; for the display only."""
        if self.run_dir:
            _file_of(self.run_dir).add(self.stage, EXPECTED, n)

    def flush(self) -> None:
        """Write what was counted since the last write; call it in `finish_bundle` or `teardown`."""
        if self.run_dir:
            _file_of(self.run_dir).flush()


def read_progress(run_dir: str | os.PathLike[str]) -> Counts:
    """Sum the counts of all processes of a run: stage to name to count, empty before anything was counted."""
    total: Counts = {}
    for path in sorted(Path(run_dir, "progress").glob("*.json")):
        for stage, counts in json.loads(path.read_text(encoding="utf-8")).items():
            into = total.setdefault(stage, {})
            for name, n in counts.items():
                into[name] = into.get(name, 0) + n
    return total


class StageLine(NamedTuple):
    """What the display says about one stage at one moment."""

    stage: str
    done: int = 0
    expected: int = 0
    """0 if unknown."""
    rate: float = 0.0
    """Elements a second."""
    excluded: int = 0
    failed: int = 0
    cached: int = 0

    @classmethod
    def of(cls, stage: str, counts: Mapping[str, int], rate: float) -> StageLine:
        """Read a line from a stage's counts."""
        rest = (counts.get(name, 0) for name in ("excluded", "failed", "cached"))
        return cls(stage, _done(counts), counts.get(EXPECTED, 0), rate, *rest)

    @property
    def amount(self) -> str:
        """As in `1,200/6,000`."""
        return f"{self.done:,}/{self.expected:,}" if self.expected else f"{self.done:,}"

    @property
    def speed(self) -> str:
        """As in `85/s`."""
        return f"{self.rate:,.0f}/s" if self.rate >= 10 else f"{self.rate:.1f}/s" if self.rate else ""

    @property
    def left(self) -> str:
        """Time left as in `1:05`, `done`, or nothing while it cannot be told."""
        if not self.expected or (not self.rate and self.done < self.expected):
            return ""
        if self.done >= self.expected:
            return "done"
        seconds = round((self.expected - self.done) / self.rate)
        minutes = f"{seconds // 60 % 60}:{seconds % 60:02}"
        return minutes if seconds < 3600 else f"{seconds // 3600}:{minutes:0>5}"

    @property
    def notes(self) -> str:
        """As in `12 excluded, 1 failed, 300 cached`."""
        named = (("excluded", self.excluded), ("failed", self.failed), ("cached", self.cached))
        return ", ".join(f"{n:,} {name}" for name, n in named if n)

    def plain(self) -> str:
        """The line without a bar."""
        left = f"{self.left} left" if ":" in self.left else self.left
        return f"{self.stage}: " + ", ".join(
            part for part in (self.amount, self.speed, left, self.notes) if part
        )


def _done(counts: Mapping[str, int]) -> int:
    return counts["done"] if "done" in counts else counts.get("in", 0)


class Rate:
    """Elements a second over the last `RATE_WINDOW` seconds in which there was progress."""

    def __init__(self) -> None:
        self._seen: deque[tuple[float, int]] = deque()

    def observe(self, now: float, done: int) -> float:
        """Take note of a count at a time (seconds) and return the rate."""
        if done == 0:
            self._seen.clear()
        if not self._seen or done != self._seen[-1][1]:
            self._seen.append((now, done))
        while len(self._seen) > 2 and now - self._seen[1][0] > RATE_WINDOW:
            self._seen.popleft()
        (start, first), (end, last) = self._seen[0], self._seen[-1]
        return (last - first) / (end - start) if end > start else 0.0


class ProgressDisplay:
    """Shows a line a stage while the body of a `with` runs: bars on a terminal, else plain lines.

    Args:
        run_dir: The directory that the tallies of the run write to.
        stages: Names of the stages to show, in this order.
        console: Where to show them; standard error by default.
    """

    def __init__(
        self, run_dir: str | os.PathLike[str], stages: Sequence[str], console: Console | None = None
    ) -> None:
        self._run_dir = run_dir
        self._console = console or Console(stderr=True)
        self._rates = {stage: Rate() for stage in stages}
        self._view = _Bars(self._console, stages) if self._console.is_terminal else _Lines(self._console)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._poll, name="progress", daemon=True)

    def __enter__(self) -> ProgressDisplay:
        self._view.live.__enter__()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        Tally(str(self._run_dir), "").flush()
        self._show(over=True)
        self._view.live.__exit__(kind, error, trace)

    def _poll(self) -> None:
        while not self._stop.wait(INTERVAL):
            self._show(over=False)

    def _show(self, over: bool) -> None:
        now, counts = time.monotonic(), read_progress(self._run_dir)
        for stage, rate in self._rates.items():
            of_stage = counts.get(stage, {})
            self._view.show(StageLine.of(stage, of_stage, rate.observe(now, _done(of_stage))), now, over)


class _Bars:
    """A `rich` bar a stage; it pulses while the total is unknown."""

    def __init__(self, console: Console, stages: Sequence[str]) -> None:
        columns = [TextColumn("{task.description}"), BarColumn(bar_width=24, pulse_style="bar.pulse")]
        columns += [
            TextColumn(f"{{task.fields[{name}]}}", justify="right") for name in ("amount", "speed", "left")
        ]
        self._progress = Progress(*columns, TextColumn("[dim]{task.fields[notes]}"), console=console)
        for stage in stages:
            self._progress.add_task(stage, total=1, amount="", speed="", left="", notes="")
        self.live: AbstractContextManager[Any] = self._progress
        self._tasks = {task.description: task for task in self._progress.tasks}

    def show(self, line: StageLine, now: float, over: bool) -> None:
        if not line.done and not line.expected:
            return
        task = self._tasks[line.stage]
        # `update(total=None)` would mean "unchanged"; a total of None makes the bar pulse.
        task.total = line.expected or (line.done if over else None)
        fields = {name: getattr(line, name) for name in ("amount", "speed", "left", "notes")}
        self._progress.update(task.id, completed=line.done, **fields)


class _Lines:
    """Plain lines, for logs: about a stage that moved, at most every `PLAIN_INTERVAL` seconds."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self.live: AbstractContextManager[Any] = nullcontext()
        self._last: dict[str, tuple[float, StageLine]] = {}

    def show(self, line: StageLine, now: float, over: bool) -> None:
        shown_at, shown = self._last.get(line.stage, (None, StageLine(line.stage)))
        if shown_at is None:
            self._last[line.stage] = (now, shown)
            shown_at = now
        if line._replace(rate=0) == shown._replace(rate=0) or not (over or now - shown_at >= PLAIN_INTERVAL):
            return
        self._last[line.stage] = (now, line)
        self._console.print(line.plain(), highlight=False, markup=False, soft_wrap=True)
