"""Which folders a build may write into."""

import json
from pathlib import Path

import pytest

from pipelines.storage.claim import MARK, claim, release, require_ours

MANIFEST = {"crossharm": "1", "configuration": {}, "dataset_digest": "0"}


@pytest.mark.parametrize(
    "files", [{"notes.txt": "mine"}, {"manifest.json": "{}"}, {"manifest.json": "no json"}]
)
def test_a_folder_with_files_of_others_is_refused(tmp_path: Path, files: dict[str, str]) -> None:
    for name, content in files.items():
        (tmp_path / name).write_text(content, encoding="utf-8")
    with pytest.raises(ValueError, match=rf"such as '{next(iter(files))}'"):
        require_ours(tmp_path)
    assert {path.name: path.read_text() for path in tmp_path.iterdir()} == files


def test_a_finalized_dataset_is_not_built_over(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST | {"human": {}}))
    with pytest.raises(ValueError, match="no build wrote"):
        require_ours(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("mine", encoding="utf-8")
    with pytest.raises(ValueError, match="is a file"):
        require_ours(tmp_path / "notes.txt")


def test_an_empty_folder_and_none_are_taken(tmp_path: Path) -> None:
    for folder in (tmp_path, tmp_path / "new" / "one"):
        require_ours(folder)
        claim(folder)
        (folder / "README.md").write_text("half written", encoding="utf-8")
        require_ours(folder)
        assert (folder / MARK).is_file()


def test_a_finished_dataset_is_built_again(tmp_path: Path) -> None:
    claim(tmp_path)
    (tmp_path / "manifest.json").write_text(json.dumps(MANIFEST), encoding="utf-8")
    release(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]
    require_ours(tmp_path)
