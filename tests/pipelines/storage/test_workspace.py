"""The workspace hands out the stores below one directory."""

import pickle
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


def test_the_directory_of_a_run_is_made(tmp_path: Path) -> None:
    assert Workspace(str(tmp_path)).run_dir("2026-01-01").is_dir()


@pytest.mark.parametrize("name", ["", "..", "../x", "a/b", "a\n"])
def test_a_name_that_would_leave_the_directory_is_refused(tmp_path: Path, name: str) -> None:
    with pytest.raises(ValueError, match="file name"):
        Workspace(str(tmp_path)).cache(name)
    with pytest.raises(ValueError, match="file name"):
        Workspace(str(tmp_path)).run_dir(name)
