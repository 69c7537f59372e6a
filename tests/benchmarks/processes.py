"""Runs a measured program in processes of its own, and watches how much memory each of them takes at most."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import psutil

ROOT = Path(__file__).parents[2]
INTERVAL = 0.1
"""Seconds between two looks; the peak is the kernel's own, so that only a process's last moments can be missed."""


class Measured(NamedTuple):
    """What a program said, and the memory it took."""

    said: dict[str, Any]
    """The JSON of its last line."""
    peaks: tuple[int, ...]
    """Peak resident bytes (VmHWM) of the program and each process it started, largest first."""


def measure(module: str, arguments: Sequence[object]) -> Measured:
    """Run `python -m module arguments` and its children to their end.

    Raises:
        RuntimeError: It failed; the message ends with what it wrote to standard error.
    """
    command = [sys.executable, "-m", module, *map(str, arguments)]
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "OMP_WAIT_POLICY": "passive", "HF_HUB_OFFLINE": "1"}
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as errors:
        process = subprocess.Popen(command, stdout=out, stderr=errors, cwd=ROOT, env=environment)
        peaks = _watch(process)
        out.seek(0)
        errors.seek(0)
        if process.returncode:
            raise RuntimeError(f"{module} failed with {process.returncode}:\n{errors.read()[-3000:]}")
        said = json.loads(out.read().splitlines()[-1])
    return Measured(said, tuple(sorted(peaks.values(), reverse=True)))


def _watch(process: subprocess.Popen[bytes]) -> dict[int, int]:
    peaks: dict[int, int] = {}
    while True:
        for pid in _tree(process.pid):
            peaks[pid] = max(peaks.get(pid, 0), peak_of(pid))
        try:
            process.wait(INTERVAL)
        except subprocess.TimeoutExpired:
            continue
        return peaks


def _tree(pid: int) -> list[int]:
    try:
        return [pid, *(child.pid for child in psutil.Process(pid).children(recursive=True))]
    except psutil.NoSuchProcess:
        return []


def peak_of(pid: int) -> int:
    """VmHWM of a process in bytes; 0 if it is gone. (`ru_maxrss` would count its parent's memory, too.)"""
    try:
        status = Path(f"/proc/{pid}/status").read_text(encoding="utf-8")
    except (FileNotFoundError, ProcessLookupError):
        return 0
    found = re.search(r"VmHWM:\s+(\d+) kB", status)
    return int(found[1]) * 1024 if found else 0
