"""A release to a folder: compared, resumed, and refused where something else is."""

from __future__ import annotations

from pathlib import Path

import fsspec
import pytest

from pipelines.release import Facts
from pipelines.release.contents import ReleaseError, ReleaseFile, contents
from pipelines.release.folder import copy_release


@pytest.fixture(scope="module")
def files(template: Path) -> list[ReleaseFile]:
    """The release of the little dataset."""
    return contents(Facts(template), None)


def _nothing(size: int) -> None:
    """Takes what is over."""


def test_all_files_arrive(files: list[ReleaseFile], tmp_path: Path) -> None:
    copy_release(str(tmp_path / "to"), files, _nothing)
    found = {
        path.relative_to(tmp_path / "to").as_posix()
        for path in (tmp_path / "to").rglob("*")
        if path.is_file()
    }
    assert found == {file.path for file in files}


def test_any_address_of_fsspec_will_do(files: list[ReleaseFile]) -> None:
    copy_release("memory://release", files, _nothing)
    assert len(fsspec.filesystem("memory").find("/release")) == len(files)


def test_a_copy_that_was_cut_off_goes_on(files: list[ReleaseFile], tmp_path: Path) -> None:
    copy_release(str(tmp_path), files[:2], _nothing)
    (tmp_path / "data" / "x.parquet.part").write_bytes(b"half")
    before = (tmp_path / files[0].path).stat().st_mtime_ns
    copy_release(str(tmp_path), files, _nothing)
    assert (tmp_path / files[0].path).stat().st_mtime_ns == before
    assert (tmp_path / "README.md").is_file()


def test_a_folder_with_other_content_is_refused(files: list[ReleaseFile], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(ReleaseError, match=r"holds other content \(mine\.txt\)"):
        copy_release(str(tmp_path), files, _nothing)
    assert [path.name for path in tmp_path.iterdir()] == ["mine.txt"]


def test_an_address_of_an_unknown_kind_is_refused(files: list[ReleaseFile]) -> None:
    with pytest.raises(ReleaseError, match="nowhere"):
        copy_release("nowhere://x", files, _nothing)
