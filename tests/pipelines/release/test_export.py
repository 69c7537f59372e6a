"""The command: what it refuses, what it prints, and that a trial run changes nothing."""

from __future__ import annotations

import json
import time
from pathlib import Path

import pytest

from pipelines.export import main, parser
from pipelines.release import Facts

SKIP = ("--skip-audit", "a test")


def _audited(dataset: Path, passed: bool) -> None:
    check = {
        "name": "text_auc",
        "passed": passed,
        "value": 0.5,
        "limit": {"at_most": 0.55},
        "reason": "Found.",
    }
    audit = {"passed": passed, "checks": [check], "dataset_digest": Facts(dataset).digest}
    (dataset / "audit.json").write_text(json.dumps(audit))


def _files(folder: Path) -> dict[str, bytes]:
    return {
        path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()
    }


def test_a_dataset_that_passed_its_audit_goes_out_with_it(dataset: Path, tmp_path: Path) -> None:
    _audited(dataset, passed=True)
    assert main([str(dataset), "--to", str(tmp_path / "to")]) == 0
    assert (tmp_path / "to" / "audit.json").is_file()
    assert "It **passed**" in (tmp_path / "to" / "README.md").read_text()


def test_a_dataset_that_did_not_pass_stays(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _audited(dataset, passed=False)
    assert main([str(dataset), "--to", str(tmp_path / "to")]) == 1
    assert "did not pass (text_auc)" in capsys.readouterr().err
    assert not (tmp_path / "to").exists()


def test_why_it_went_out_without_an_audit_is_on_the_card(dataset: Path, tmp_path: Path) -> None:
    _audited(dataset, passed=False)
    assert main([str(dataset), "--to", str(tmp_path / "to"), "--skip-audit", "a known shortcut"]) == 0
    card = (tmp_path / "to" / "README.md").read_text()
    assert "Reason given: a known shortcut" in card and "It **did not pass**" in card


def test_an_empty_reason_is_none(dataset: Path, tmp_path: Path) -> None:
    _audited(dataset, passed=False)
    assert main([str(dataset), "--to", str(tmp_path / "to"), "--skip-audit", " "]) == 1


def test_a_trial_run_prints_the_files_and_changes_nothing(
    dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = _files(dataset)
    assert main([str(dataset), "--repo", "owner/little", "--public", "--dry-run", *SKIP]) == 0
    shown = capsys.readouterr().out
    assert "train-00000-of-00001.parquet" in shown and "make it public" in shown
    assert _files(dataset) == before


def test_a_trial_run_starts_no_audit(dataset: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(dataset), "--repo", "owner/little", "--dry-run"]) == 1
    assert "python -m pipelines.audit" in capsys.readouterr().err


def test_an_export_leaves_nothing_but_its_card_in_the_dataset(dataset: Path, tmp_path: Path) -> None:
    before = set(_files(dataset))
    main([str(dataset), "--to", str(tmp_path / "to"), *SKIP])
    assert set(_files(dataset)) == before


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--repo", "little"], "not of the form owner/name"),
        (["--repo", "../../etc/x"], "not of the form owner/name"),
        (["--to", "x", "--public"], "belong to --repo"),
        (["--to", "x", "--revision", "v2"], "belong to --repo"),
        (["--to", "{dataset}/release"], "inside the dataset"),
    ],
)
def test_arguments_that_make_no_sense_are_refused(
    arguments: list[str], says: str, template: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    filled = [argument.format(dataset=template) for argument in arguments]
    assert main([str(template), *filled, *SKIP]) == 2
    assert says in capsys.readouterr().err


def test_a_folder_that_is_no_dataset_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(tmp_path), "--to", "x", *SKIP]) == 2
    assert "no manifest.json" in capsys.readouterr().err


def test_there_is_no_place_for_a_token_on_the_command_line() -> None:
    assert "--token" not in parser().format_help()


def test_help_is_quick() -> None:
    started = time.process_time()
    with pytest.raises(SystemExit):
        main(["--help"])
    assert time.process_time() - started < 0.5
