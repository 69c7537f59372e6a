import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.logs import errors_to
from tests.forked import ROOT

NOISE = [sys.executable, "-c", "import sys; sys.stderr.write('chatter of a worker')"]


def test_what_other_processes_complain_about_goes_to_the_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with errors_to(tmp_path / "log") as screen:
        subprocess.run(NOISE, check=True)
        screen.write("progress")
    assert (tmp_path / "log").read_text() == "chatter of a worker"
    assert capfd.readouterr().err == "progress"


def test_after_a_failure_the_end_of_the_file_is_shown(
    tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(RuntimeError), errors_to(tmp_path / "log"):
        subprocess.run(NOISE, check=True)
        raise RuntimeError
    assert "chatter of a worker" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("raised", "said"), [("KeyboardInterrupt", "\ncrossharm: stopped\n"), ("ValueError", "Traceback")]
)
def test_ctrl_c_is_one_line_and_other_errors_are_told_whole(raised: str, said: str) -> None:
    command = [sys.executable, "-c", f"from pipelines.logs import quiet; quiet(False); raise {raised}"]
    ended = subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)
    assert ended.returncode != 0 and ended.stderr.startswith(said)


def test_afterwards_errors_reach_the_screen_again(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    with errors_to(tmp_path / "log"):
        pass
    subprocess.run(NOISE, check=True)
    assert capfd.readouterr().err == "chatter of a worker"
