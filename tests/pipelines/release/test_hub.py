"""The token: where it comes from, and that no message holds it."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.hub import FakeHub

Run = Callable[[str], subprocess.CompletedProcess[str]]
REFUSED = "hf_" + "wrong" * 7


@pytest.fixture
def run(dataset: Path, hub: FakeHub, tmp_path: Path, environment: Callable[..., dict[str, Any]]) -> Run:
    """Runs the command as a user does, in a process of its own, with a token."""

    def run(token: str) -> subprocess.CompletedProcess[str]:
        command = [sys.executable, "-m", "pipelines.export", str(dataset), "--repo", "owner/little"]
        command += ["--skip-audit", "a test", "--public"]
        return subprocess.run(
            command, env=environment(hub, tmp_path, token), capture_output=True, text=True, check=False
        )

    return run


def test_a_refused_token_is_one_line_without_the_token(run: Run, hub: FakeHub) -> None:
    done = run(REFUSED)
    assert done.returncode == 1 and done.stderr.count("\n") == 1
    assert "401" in done.stderr and REFUSED not in done.stdout + done.stderr
    assert not hub.repos


def test_without_a_token_no_server_is_asked(run: Run, hub: FakeHub) -> None:
    done = run("")
    assert done.returncode == 1 and "set HF_TOKEN" in done.stderr
    assert hub.requests == []
