"""Only what is on the list is given away, and only as the manifest says."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.release import Facts
from pipelines.release.contents import ReleaseError, contents


def _paths(dataset: Path) -> list[str]:
    return [file.path for file in contents(Facts(dataset), None)]


def test_descriptions_come_last(template: Path) -> None:
    assert _paths(template)[-2:] == ["README.md", "croissant.json"]


@pytest.mark.parametrize(
    "path", ["annotations/salt", ".env", "annotations/.salt", "notes.txt", "data/.x.parquet-1.part"]
)
def test_what_is_not_on_the_list_stays(path: str, dataset: Path) -> None:
    (dataset / path).parent.mkdir(exist_ok=True)
    (dataset / path).write_text("secret")
    assert path not in _paths(dataset)


def test_annotations_go_without_their_salt(dataset: Path) -> None:
    folder = dataset / "annotations"
    folder.mkdir()
    for name in ("agreement.json", "agreement.png", "salt", "project.json"):
        (folder / name).write_text("{}")
    found = [path for path in _paths(dataset) if path.startswith("annotations")]
    assert found == ["annotations/agreement.json", "annotations/agreement.png"]


def test_what_failed_stays_as_it_may_name_folders(template: Path) -> None:
    assert not [path for path in _paths(template) if path.startswith("failed")]


def test_an_audit_of_other_shards_stays(dataset: Path) -> None:
    (dataset / "audit.json").write_text('{"passed": true, "checks": [], "dataset_digest": "of others"}')
    assert "audit.json" not in _paths(dataset)


def test_a_dataset_without_pairs_is_refused(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    with pytest.raises(ReleaseError, match="has no pairs"):
        _paths(tmp_path)


def test_the_manifest_that_goes_lists_the_shards_that_go(template: Path) -> None:
    files = {file.path: file.content for file in contents(Facts(template), None)}
    listed = {file["path"] for file in json.loads(files["manifest.json"])["files"]}
    assert listed == {path for path in files if path.endswith(".parquet")}


def test_links_are_not_followed(dataset: Path, tmp_path: Path) -> None:
    (tmp_path / "secret").write_text("{}")
    (dataset / "report.html").unlink()
    (dataset / "report.html").symlink_to(tmp_path / "secret")
    assert "report.html" not in _paths(dataset)


def test_a_shard_that_changed_is_refused(dataset: Path) -> None:
    shard = next((dataset / "data").glob("train-*"))
    shard.write_bytes(shard.read_bytes() + b"x")
    with pytest.raises(ReleaseError, match="has changed since the manifest"):
        _paths(dataset)


def test_a_shard_that_is_missing_is_refused(dataset: Path) -> None:
    next((dataset / "excluded").glob("*.parquet")).unlink()
    with pytest.raises(ReleaseError, match="is missing since the manifest"):
        _paths(dataset)


def test_a_shard_that_the_manifest_lacks_is_refused(dataset: Path) -> None:
    (dataset / "data" / "train-00007-of-00008.parquet").write_bytes(b"x")
    with pytest.raises(ReleaseError, match="is not in the manifest"):
        _paths(dataset)


def test_a_manifest_that_lists_another_file_is_refused(
    dataset: Path, change_manifest: Callable[[Callable[[dict[str, Any]], object]], None]
) -> None:
    (dataset / "secret").write_text("x")
    change_manifest(
        lambda manifest: manifest["files"].append(
            {"path": "data/../secret", "sha256": "", "rows": 0, "bytes": 1}
        )
    )
    with pytest.raises(ReleaseError, match="not the name of a shard"):
        _paths(dataset)
