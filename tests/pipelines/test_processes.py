import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from pipelines.processes import process_pool
from tests.forked import ROOT

OWNER = """
import os, time
from pipelines.processes import process_pool
pool = process_pool(2)
print(*{one.result() for one in [pool.submit(os.getpid) for _ in range(8)]}, flush=True)
{then}
"""


def _owner(then: str) -> tuple[subprocess.Popen[str], list[int]]:
    """A process that has a pool and then does something, and its workers."""
    line = [sys.executable, "-c", OWNER.replace("{then}", then)]
    owner = subprocess.Popen(line, stdout=subprocess.PIPE, text=True, cwd=ROOT)
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


def test_the_same_pool_is_given_again() -> None:
    pool = process_pool(2)
    assert list(pool.map(len, ["a", "bb"])) == [1, 2]
    assert process_pool(2) is pool
