"""`mlcroissant` accepts the description and reads the records it describes."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import mlcroissant as mlc
import pytest

from pipelines.release import Facts
from pipelines.release.croissant import Publication, croissant_text, shards

AGREES = Publication("https://huggingface.co/datasets/owner/little", "owner", "2026-01-02")


def test_the_same_folder_has_the_same_description(template: Path) -> None:
    facts = Facts(template)
    assert croissant_text(facts, shards(facts)) == (template / "croissant.json").read_text()


def test_it_is_valid_without_a_warning_once_it_is_published(dataset: Path) -> None:
    facts = Facts(dataset)
    (dataset / "croissant.json").write_text(croissant_text(facts, shards(facts), AGREES))
    metadata = mlc.Dataset(str(dataset / "croissant.json")).metadata
    assert not metadata.ctx.issues.errors and not metadata.ctx.issues.warnings
    assert metadata.version == f"1.0.0+{facts.digest[:16]}"


@pytest.mark.parametrize(("records", "number"), [("pairs", 16), ("memes", 16), ("excluded", 3)])
def test_all_records_are_read(records: str, number: int, template: Path) -> None:
    rows: list[dict[str, Any]] = list(mlc.Dataset(str(template / "croissant.json")).records(records))
    assert len(rows) == number
    if records != "excluded":
        assert {row[f"{records}/split"] for row in rows} == {b"train", b"test"}
        picture = "image" if records == "pairs" else "composed"
        assert all(row[f"{records}/{picture}"].size == (48, 32) for row in rows)


def test_every_file_is_listed_with_its_digest(template: Path) -> None:
    listed = {
        file.content_url: file.sha256
        for file in mlc.Dataset(str(template / "croissant.json")).metadata.file_objects
    }
    assert len(listed) == 4
    for path, digest in listed.items():
        assert hashlib.sha256((template / str(path)).read_bytes()).hexdigest() == digest


@pytest.mark.parametrize(
    "field",
    [
        "dataCollection",
        "dataAnnotationProtocol",
        "dataBiases",
        "personalSensitiveInformation",
        "dataUseCases",
        "dataLimitations",
        "dataSocialImpact",
        "dataReleaseMaintenancePlan",
    ],
)
def test_the_fields_for_responsible_ai_are_filled(field: str, template: Path) -> None:
    assert json.loads((template / "croissant.json").read_text())[f"rai:{field}"]
