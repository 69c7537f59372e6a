import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.processes import Broken, Task
from tests.forked import ROOT

OWNER = """
import os, time
from pipelines.processes import Task
print(*{one.result() for one in [Task(2, os.getpid) for _ in range(8)]}, flush=True)
{then}
"""


def _owner(then: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A process that has a pool and then does something, and its workers."""
    line = [sys.executable, "-c", OWNER.replace("{then}", then)]
    owner = subprocess.Popen(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, cwd=ROOT)
    assert owner.stdout is not None
    return owner, [int(number) for number in owner.stdout.readline().split()]


def _runs(process: int) -> bool:
    try:
        state = Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


def _ended(processes: list[int]) -> bool:
    deadline = time.monotonic() + 20
    while any(map(_runs, processes)) and time.monotonic() < deadline:
        time.sleep(0.05)
    return not any(map(_runs, processes))


@pytest.mark.skipif(not Path("/proc").is_dir(), reason="looks for processes in /proc")
@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_the_processes_end_with_one_that_is_killed(how: signal.Signals) -> None:
    owner, workers = _owner("time.sleep(600)")
    assert workers
    assert all(map(_runs, workers))
    os.kill(owner.pid, how)
    assert owner.wait() == -how
    assert _ended(workers)


@pytest.mark.parametrize("then", ["", "raise SystemExit(3)"])
def test_one_that_ends_by_itself_does_not_wait_for_them_for_ever(then: str) -> None:
    owner, workers = _owner(then)
    assert owner.wait(timeout=20) == (3 if then else 0)
    assert _ended(workers)


def test_one_that_stops_at_once_leaves_no_warning_behind() -> None:
    owner, workers = _owner("os._exit(130)")
    assert owner.stderr is not None
    assert owner.wait(timeout=20) == 130
    assert _ended(workers)
    assert owner.stderr.read() == ""


def test_what_kills_its_process_is_an_error_and_those_beside_it_are_done_all_the_same() -> None:
    tasks = [Task(2, os._exit, 1) if number == 3 else Task(2, len, "a" * number) for number in range(8)]
    broken = Broken("BrokenProcessPool", "the process that worked on it died")
    assert [task.result() for task in tasks] == [0, 1, 2, broken, 4, 5, 6, 7]
    assert Task(2, len, "after").result() == 5
