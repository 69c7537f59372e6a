"""Each planted fault fails its own check, for its own reason; the clean dataset passes them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pipelines.audit import audit, belongs, main, read_audit
from pipelines.auditing.results import Check
from tests.pipelines.auditing.planted import Change, picture, recount, with_parts, words

Row = dict[str, Any]
Changed = Callable[[Change], Path]


def checks(dataset: Path, *, probes: bool = False) -> dict[str, Check]:
    return {check.name: check for check in audit(dataset, probes=probes).checks}


def failed(dataset: Path, *, probes: bool = False) -> set[str]:
    found = checks(dataset, probes=probes)
    # Of two emergent pairs that share their benign rows one has both partners by name.
    return {name for name, check in found.items() if not check.passed} - {"contrast_sets"}


def test_the_clean_dataset_has_no_shortcut_and_no_fault(clean: Path) -> None:
    found = failed(clean, probes=True)
    assert not {name for name in found if not name.startswith("joint")}


def test_a_word_that_only_harmful_texts_have_is_a_shortcut(changed: Changed) -> None:
    def plant(split: str, row: Row) -> Row:
        return with_parts(
            row, row["image"]["bytes"], f"{'please' if row['label'] else 'maybe'} {row['text']}"
        )

    found = checks(changed(plant), probes=True)
    assert not found["words_probe_train"].passed and found["words_probe_test"].value == 1.0
    assert "over the limit" in found["words_probe_test"].reason
    assert found["image_probe_test"].passed


def test_an_encoding_that_only_benign_images_have_is_a_shortcut(changed: Changed) -> None:
    def plant(split: str, row: Row) -> Row:
        return with_parts(row, picture(row["image_id"], "JPEG" if row["label"] else "PNG"), row["text"])

    found = checks(changed(plant), probes=True)["provenance_probe_test"]
    assert not found.passed and found.value == 1.0 and "from provenance" in found.reason.lower()


def test_an_image_in_two_splits_is_a_leak(changed: Changed) -> None:
    def plant(split: str, row: Row) -> Row:
        last = {"train": 0, "validation": 3, "test": 1}[split]
        return (
            with_parts(row, picture("shared"), row["text"])
            if row["text"] == words(f"{split} text {last}")
            else row
        )

    assert failed(changed(plant)) == {"exact_images", "image_clusters", "near_images"}


def test_a_text_that_differs_in_one_word_is_a_near_copy(changed: Changed) -> None:
    long = " ".join(f"word{n}" for n in range(60))

    def plant(split: str, row: Row) -> Row:
        first = row["text"] == words(f"{split} text 0")
        return with_parts(row, row["image"]["bytes"], f"{long} {split}") if first else row

    found = checks(changed(plant))
    assert not found["near_texts"].passed and found["exact_texts"].passed
    assert not found["text_overlap"].passed


def test_a_changed_byte_is_told_by_its_file(clean: Path) -> None:
    shard = clean / "data/test-00000-of-00001.parquet"
    data = bytearray(shard.read_bytes())
    place = data.index(picture("composed")) + 200
    data[place] ^= 1
    shard.write_bytes(bytes(data))
    found = checks(clean)["digests"]
    assert not found.passed and shard.name in found.reason and "sha256" in found.reason


def test_a_retrieved_part_without_a_licence_is_named(changed: Changed) -> None:
    def plant(split: str, row: Row) -> Row:
        licence = None if split == "test" else "CC-BY-4.0"
        return row | {"text_origin": "retrieved", "text_licence": licence}

    dataset = changed(plant)
    assert failed(dataset) == {"licences"}
    assert "text was retrieved" in checks(dataset)["licences"].reason


def test_a_wrong_count_in_the_manifest_is_told(clean: Path) -> None:
    recount(clean, lambda manifest: manifest["rows"]["candidate"].update(written=99, rows_in=99))
    assert failed(clean) == {"counts"}
    assert "99 pairs were written, the shards have 100" in checks(clean)["counts"].reason


def test_rows_that_were_lost_are_told(clean: Path) -> None:
    recount(clean, lambda manifest: manifest["rows"]["candidate"].update(rows_in=107))
    assert "7 lost" in checks(clean)["counts"].reason


def test_a_picture_that_does_not_decode_is_told(changed: Changed) -> None:
    def plant(split: str, row: Row) -> Row:
        cut = picture(f"{split} image 0")[:300]
        return (
            with_parts(row, cut, row["text"])
            if row["image_id"] == _digest(picture(f"{split} image 0"))
            else row
        )

    found = checks(changed(plant))["pictures"]
    assert not found.passed and "its image cannot be used" in found.reason


def test_a_partner_without_its_emergent_pair_is_told(changed: Changed) -> None:
    def plant(split: str, row: Row) -> Row:
        return row | {"contrast_group": "nobody"} if row["role"] == "contrast_text" else row

    found = failed(changed(plant))
    assert found == {"contrast_groups"}


def test_a_label_that_is_not_its_roles_is_told(changed: Changed) -> None:
    assert failed(changed(lambda split, row: row | {"label": 1})) == {"labels"}


def test_an_id_that_comes_twice_is_told(changed: Changed) -> None:
    def plant(split: str, row: Row) -> Row:
        return row if row["role"] == "emergent" else row | {"id": "twice"}

    assert "twice comes" in checks(changed(plant))["ids"].reason


def test_equal_datasets_give_equal_files(clean: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([str(clean), "--no-probes", "--json", "--limit", "contrast_sets=0.5"]) == 0
    first = (clean / "audit.json").read_bytes()
    assert main([str(clean), "--no-probes", "--json", "--limit", "contrast_sets=0.5"]) == 0
    assert (clean / "audit.json").read_bytes() == first
    assert json.loads(capsys.readouterr().out.split("\n}\n")[0] + "\n}")["passed"] is False


def test_an_audit_belongs_to_the_shards_that_it_looked_at(clean: Path) -> None:
    assert main([str(clean), "--no-probes"]) == 1
    report = read_audit(clean)
    assert (
        report and belongs(report, clean) and [check.name for check in report.failures] == ["contrast_sets"]
    )
    (clean / "data/validation-00000-of-00001.parquet").unlink()
    assert not belongs(report, clean)


def test_the_section_takes_the_place_of_an_older_one(clean: Path) -> None:
    page = "<html><body><p>kept</p><!-- audit -->old<!-- /audit --><p>after</p></body></html>"
    (clean / "report.html").write_text(page, encoding="utf-8")
    main([str(clean), "--no-probes"])
    once = (clean / "report.html").read_text(encoding="utf-8")
    assert once.startswith("<html><body><p>kept</p>") and once.endswith("<p>after</p></body></html>")
    assert "old" not in once.split("<svg")[0] and once.count('id="audit"') == 1
    main([str(clean), "--no-probes"])
    assert (clean / "report.html").read_text(encoding="utf-8") == once


@pytest.mark.parametrize("argument", ["typo=1", "joint_auc=much", "joint_auc=nan", "joint_auc"])
def test_a_limit_that_makes_no_sense_is_refused(
    clean: Path, argument: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(clean), "--limit", argument]) == 2
    assert argument in capsys.readouterr().err


@pytest.mark.parametrize("broken", ["manifest.json", "data/test-00000-of-00001.parquet"])
def test_what_cannot_be_read_is_one_line_and_status_2(
    clean: Path, broken: str, capsys: pytest.CaptureFixture[str]
) -> None:
    (clean / broken).write_bytes(b"no such thing")
    assert main([str(clean), "--no-probes"]) == 2
    assert broken in capsys.readouterr().err


def _digest(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
