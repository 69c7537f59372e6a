"""The manifest says what a build was, equally for equal builds; reconciliation says what was lost."""

import json
from pathlib import Path
from typing import Any

import pytest

from pipelines.storage.manifest import (
    LIBRARIES,
    Ledger,
    ReconciliationError,
    build_manifest,
    dataset_digest,
    library_versions,
    read_manifest,
    reconcile,
    require_reconciled,
    write_manifest,
)
from pipelines.storage.shards import ShardFile
from schemas.config import BuildConfig

FILES = [
    ShardFile("data/train-00000-of-00001.parquet", "train", 5, 100, "a" * 64),
    ShardFile("data/test-00000-of-00001.parquet", "test", 2, 50, "b" * 64),
    ShardFile("excluded/excluded-00000-of-00001.parquet", "excluded", 1, 10, "c" * 64),
]
LEDGER = Ledger("image", 10, 7, 2, 1)


def _manifest(**changes: Any) -> dict[str, Any]:
    arguments: dict[str, Any] = {
        "versions": {"crossharm": "0.1.0", "numpy": "2"},
        "engine": "FnApiRunner",
        "counts": {"screen": {"in": 10, "kept": 8, "inferred": 10}, "clip": {"cached": 3}},
        "files": FILES,
        "ledgers": [LEDGER],
        "run": {"seconds": 1.5},
    }
    return build_manifest(BuildConfig(), **{**arguments, **changes})


def test_what_differs_between_equal_builds_is_under_run_alone() -> None:
    first = _manifest()
    second = _manifest(
        counts={"screen": {"in": 10, "kept": 8, "cached": 10}, "clip": {"cached": 3}},
        files=FILES[::-1],
        engine="PortableRunner",
        run={"seconds": 0.2, "date": "2026-01-01"},
    )
    assert first.pop("run") != second.pop("run")
    assert first == second


def test_model_calls_and_cache_hits_are_told_by_stage() -> None:
    assert _manifest()["run"] == {
        "engine": "FnApiRunner",
        "seconds": 1.5,
        "model_calls": {"screen": {"cached": 0, "inferred": 10}, "clip": {"cached": 3, "inferred": 0}},
    }


def test_counts_files_rows_and_results_are_listed() -> None:
    manifest = _manifest(results={"notices": ["a demonstration"]})
    assert manifest["counts"] == {"screen": {"in": 10, "kept": 8}}
    assert manifest["rows"] == {"image": {"rows_in": 10, "written": 7, "excluded": 2, "failed": 1}}
    assert [file["path"] for file in manifest["files"]] == sorted(file.path for file in FILES)
    assert manifest["notices"] == ["a demonstration"]
    assert manifest["crossharm"] == "0.1.0"


def test_a_changed_threshold_changes_the_digest_of_the_configuration() -> None:
    changed = BuildConfig.model_validate({"select": {"min_joint": 0.9}})
    other = build_manifest(changed, versions={}, engine="", counts={}, files=[])
    assert other["configuration"]["select"]["min_joint"] == 0.9
    assert other["configuration_sha256"] != _manifest()["configuration_sha256"]


def test_the_datasets_digest_is_of_its_data_in_any_order() -> None:
    assert dataset_digest(FILES) == dataset_digest(FILES[1::-1])
    assert dataset_digest(FILES) != dataset_digest([FILES[0]._replace(sha256="d" * 64), FILES[1]])


def test_a_manifest_is_sorted_json_that_comes_back(tmp_path: Path) -> None:
    write_manifest(tmp_path / "manifest.json", _manifest())
    text = (tmp_path / "manifest.json").read_text(encoding="utf-8")
    assert read_manifest(tmp_path / "manifest.json") == _manifest() == json.loads(text)
    assert list(json.loads(text)) == sorted(_manifest())
    assert [path.name for path in tmp_path.iterdir()] == ["manifest.json"]


def test_every_library_has_a_version_or_is_said_to_be_missing() -> None:
    versions = library_versions()
    assert list(versions) == list(LIBRARIES)
    assert versions["pyarrow"].startswith("25")


def test_rows_that_add_up_are_no_discrepancy() -> None:
    assert reconcile([LEDGER, Ledger("text", 0, 0, 0, 0)]) == []
    require_reconciled([LEDGER])


def test_lost_and_surplus_rows_are_told_apart() -> None:
    assert reconcile([LEDGER._replace(written=6), Ledger("text", 1000, 1001, 0, 0)]) == [
        "image: 10 in, but 6 written + 2 excluded + 1 failed (1 lost)",
        "text: 1,000 in, but 1,001 written + 0 excluded + 0 failed (1 too many)",
    ]


def test_a_build_that_lost_rows_is_stopped() -> None:
    with pytest.raises(ReconciliationError, match="image: 10 in"):
        require_reconciled([LEDGER._replace(failed=0)])
