"""The default build, as `make build` runs it: what issue and design promise of its dataset."""

from __future__ import annotations

import hashlib
import re
from collections import defaultdict
from collections.abc import Iterator
from html.parser import HTMLParser
from typing import Any

import pytest

from schemas.records import ROLES, SPLITS
from tests.builds import Built, build

pytestmark = pytest.mark.timeout(900)
LOADING = {"src", "srcset", "poster", "data", "background", "href", "xlink:href", "action"}
AT_LEAST = {
    "precision": 0.90,
    "precision_held_out": 0.65,
    "combination_recall": 0.60,
    "screening_recall": 0.95,
    "yield_ratio": 5.0,
}
COLUMNS = (
    "id",
    "role",
    "label",
    "hazard",
    "rationale",
    "contrast_group",
    *(f"{modality}_{name}" for modality in ("image", "text") for name in ("id", "cluster", "licence")),
)


@pytest.fixture(scope="session")
def default(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """The default profile at its default size."""
    root = tmp_path_factory.mktemp("default")
    return build(root / "tinyworld", root / "work", "--runner=DirectRunner")


@pytest.fixture(scope="session")
def rows(default: Built) -> list[dict[str, Any]]:
    """The rows of `data/`, without pictures, with their split."""
    assert default.status == 0, default.stderr
    return default.rows("data", COLUMNS)


def test_the_command_ends_well_and_says_how_to_load_the_dataset(default: Built) -> None:
    assert default.status == 0, default.stderr
    assert "Every row is accounted for" in default.stdout
    assert "load_dataset" in default.stdout
    assert "Traceback" not in default.stderr


def test_there_are_a_thousand_pairs_of_eight_hazards_in_four_splits(rows: list[dict[str, Any]]) -> None:
    assert len(rows) >= 1000
    assert len({row["hazard"] for row in rows if row["role"] == "emergent"}) >= 8
    assert {row["split"] for row in rows if row["role"] == "emergent"} == set(SPLITS)
    assert {row["role"] for row in rows} == set(ROLES)


def test_every_row_is_complete(rows: list[dict[str, Any]]) -> None:
    assert len({row["id"] for row in rows}) == len(rows)
    assert all(row["label"] == (row["role"] == "emergent") for row in rows)
    assert all(row["rationale"] and row["hazard"] for row in rows if row["role"] == "emergent")
    assert all(row["image_licence"] and row["text_licence"] for row in rows)


def test_datasets_loads_it_and_decodes_every_picture(default: Built, tmp_path: Any) -> None:
    from datasets import load_dataset

    listed = {file["kind"]: 0 for file in default.manifest["files"]}
    for file in default.manifest["files"]:
        listed[file["kind"]] += file["rows"]
    for name, picture in (("pairs", "image"), ("memes", "composed")):
        loaded = load_dataset(str(default.out), name, cache_dir=str(tmp_path))
        assert set(loaded) == set(SPLITS)
        for split, table in loaded.items():
            assert len(table) == listed[split]
            assert all(min(row[picture].size) > 31 for row in table.select_columns([picture]))


@pytest.mark.parametrize("measure", AT_LEAST)
def test_measured_against_the_rules_it_is_good_enough(default: Built, measure: str) -> None:
    score = default.manifest["scores"][measure]
    assert score["value"] is not None and score["value"] >= AT_LEAST[measure], score


def test_screening_excludes_few_benign_assets(default: Built) -> None:
    score = default.manifest["scores"]["screening_false_exclusion"]
    assert score["value"] <= 0.05, score


def test_the_scores_are_printed(default: Built) -> None:
    assert "Measured against the rules" in default.stdout
    assert f"{default.manifest['scores']['precision']['value']:.1%}" in default.stdout


def test_the_rows_of_every_modality_reconcile(default: Built) -> None:
    ledgers = default.manifest["rows"]
    assert (ledgers["image"]["rows_in"], ledgers["text"]["rows_in"]) == (2500, 2500)
    for modality, ledger in ledgers.items():
        assert ledger["rows_in"] == ledger["written"] + ledger["excluded"] + ledger["failed"], modality
    dropped = [row["modality"] for row in default.rows("excluded", ["modality"])]
    assert {m: dropped.count(m) for m in ledgers} == {m: ledgers[m]["excluded"] for m in ledgers}


@pytest.mark.parametrize("column", ["image_id", "image_cluster", "text_id", "text_cluster"])
def test_nothing_is_in_two_splits(rows: list[dict[str, Any]], column: str) -> None:
    splits = defaultdict(set)
    for row in rows:
        splits[row[column]].add(row["split"])
    assert {key: found for key, found in splits.items() if len(found) > 1} == {}


def test_contrast_partners_share_the_other_modality_and_the_split(rows: list[dict[str, Any]]) -> None:
    anchors = {row["id"]: row for row in rows if row["role"] == "emergent"}
    partners = [row for row in rows if row["role"].startswith("contrast")]
    assert partners
    for row in partners:
        anchor = anchors[row["contrast_group"]]
        same, other = ("text", "image") if row["role"] == "contrast_image" else ("image", "text")
        assert row["split"] == anchor["split"]
        assert row[f"{same}_id"] == anchor[f"{same}_id"]
        assert row[f"{other}_id"] != anchor[f"{other}_id"]
    assert len({(row["contrast_group"], row["role"]) for row in partners}) == len(partners)


def test_the_manifest_lists_the_files_there_are_with_their_digests(default: Built) -> None:
    written = {
        path.relative_to(default.out).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in default.out.rglob("*")
        if path.is_file() and path.parent != default.out
    }
    assert written == default.digests


def test_the_report_loads_nothing_from_the_net(default: Built) -> None:
    page = (default.out / "report.html").read_text(encoding="utf-8")
    assert len(page) > 10_000
    assert list(_loaded(page)) == []


class _Attributes(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.loading: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        # A link is only followed when it is clicked.
        self.loading += [value for name, value in attrs if value and name in LOADING and tag != "a"]


def _loaded(page: str) -> Iterator[str]:
    """The addresses that a browser would fetch when it opens a page."""
    parser = _Attributes()
    parser.feed(page)
    yield from (value for value in parser.loading if re.match(r"\s*(https?:)?//", value, re.IGNORECASE))
    yield from re.findall(r"url\(\s*['\"]?(?:https?:)?//[^)]*", page, re.IGNORECASE)
    yield from re.findall(r"@import[^;]*//[^;]*|(?:fetch|import)\(\s*['\"](?:https?:)?//[^)]*", page)
