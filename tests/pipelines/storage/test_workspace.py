"""The workspace hands out the stores below one directory."""

import pickle
import subprocess
import sys
from pathlib import Path

import pytest

from pipelines.storage.workspace import Workspace


def test_a_workspace_that_travelled_reads_what_was_stored_before(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    id = workspace.blobs().put(b"image")
    workspace.cache("f" * 64).put_many({"key": b"value"})
    travelled = pickle.loads(pickle.dumps(workspace))  # noqa: S301
    assert travelled.blobs().get(id) == b"image"
    assert travelled.cache("f" * 64).get_many(["key"]) == {"key": b"value"}


def test_models_do_not_share_a_cache(tmp_path: Path) -> None:
    workspace = Workspace(str(tmp_path))
    workspace.cache("a" * 64).put_many({"key": b"value"})
    assert workspace.cache("b" * 64).get_many(["key"]) == {}


def test_the_directory_of_a_run_lasts_as_long_as_the_run(tmp_path: Path) -> None:
    with Workspace(str(tmp_path)).run("2026-01-01") as path:
        assert path.is_dir()
    assert not path.exists()


def test_what_a_killed_run_left_is_removed_by_the_next_and_a_live_run_is_spared(tmp_path: Path) -> None:
    hold = f"""
import sys, time
from pipelines.storage.workspace import Workspace
with Workspace({str(tmp_path)!r}).run("other") as path:
    (path / "spilled").touch()
    print("held", flush=True)
    time.sleep(60)
"""
    with subprocess.Popen([sys.executable, "-c", hold], stdout=subprocess.PIPE, text=True) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == "held\n"
        with Workspace(str(tmp_path)).run("first"):
            assert (tmp_path / "runs" / "other" / "spilled").exists()
        other.kill()
    with Workspace(str(tmp_path)).run("second"):
        assert not (tmp_path / "runs" / "other").exists()


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a\n"])
def test_a_name_that_would_leave_the_directory_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        Workspace(str(tmp_path)).cache(name)
    with pytest.raises(ValueError, match="file name"):
        Workspace(str(tmp_path)).run_dir(name)
