"""Builds from a user's own files: each kind of source, hostile inputs, and photographs if they are there."""

from __future__ import annotations

import csv
import io
import json
import os
import re
import tarfile
from collections import Counter
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from generators.tinyworld.source import Scenes, Utterances
from schemas.reasons import REASONS
from schemas.records import ROLES
from tests.builds import ANY_SCORE, Built, build, few_scenarios
from tests.forked import ROOT
from tests.hostile import hostile_folder, hostile_jsonl

pytestmark = pytest.mark.timeout(600)
PHOTOS = ROOT.parent / "shared" / "data"
PART = 20
"""Images, and texts, of each kind of source."""
KINDS = ("folder and csv", "tar and txt", "parquet and jsonl", "datasets")
FEW = (*ANY_SCORE, "pair.baseline_candidates=20", "contrast.neighbours=3")
MEMORY = 1_000_000_000
"""Bytes that hostile inputs may cost beyond what models and libraries take anyway."""
Files = tuple[str, str]
TEXTS = [row.locator for row in Utterances(PART * len(KINDS), 0, 7).rows()]


class Facts(NamedTuple):
    """What a row of a source says about itself."""

    licence: str
    source: str
    caption: str


def _facts(modality: str, number: int) -> Facts:
    return Facts(f"licence {number % 3}", f"https://{modality}.test/{number}", f"{modality} no. {number}")


def _numbers(kind: str) -> range:
    start = KINDS.index(kind) * PART
    return range(start, start + PART)


def _drawn(kind: str) -> list[bytes]:
    scenes = Scenes(PART * len(KINDS), 0, 7)
    names = list(scenes.names())
    return [scenes.read(names[number], 1 << 30) for number in _numbers(kind)]


def _said(kind: str) -> list[str]:
    return [TEXTS[number] for number in _numbers(kind)]


def _columns(modality: str, kind: str) -> dict[str, list[str]]:
    facts = [_facts(modality, number) for number in _numbers(kind)]
    return {name: [getattr(f, name) for f in facts] for name in Facts._fields}


def folder_and_csv(root: Path) -> Files:
    """PNG files with a `metadata.csv`, and a CSV file whose licences have the American spelling."""
    kind, images = "folder and csv", root / "pictures"
    images.mkdir(parents=True)
    for number, data in enumerate(_drawn(kind)):
        (images / f"{number}.png").write_bytes(data)
    names = [f"{number}.png" for number in range(PART)]
    _csv(images / "metadata.csv", {"file_name": names, **_columns("image", kind)})
    columns = _columns("text", kind)
    _csv(root / "t.csv", {"text": _said(kind), "license": columns.pop("licence"), **columns})
    return str(images), str(root / "t.csv")


def tar_and_txt(root: Path) -> Files:
    """A WebDataset with a JSON beside each image, and a text a line."""
    kind = "tar and txt"
    with tarfile.open(root / "scenes.tar", "w") as tar:
        for place, data in enumerate(_drawn(kind)):
            facts = json.dumps(_facts("image", _numbers(kind)[place])._asdict()).encode()
            for suffix, content in (("json", facts), ("png", data)):
                member = tarfile.TarInfo(f"{place:03}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    (root / "t.txt").write_text("\n".join(_said(kind)), encoding="utf-8")
    return str(root / "scenes.tar"), str(root / "t.txt")


def parquet_and_jsonl(root: Path) -> Files:
    """A Parquet file of Hugging Face's Image structs, and a JSON object a line."""
    kind = "parquet and jsonl"
    cells = [{"bytes": data, "path": None} for data in _drawn(kind)]
    table = pa.table({"image": cells, **_columns("image", kind)})
    pq.write_table(table, root / "s.parquet", row_group_size=8)
    records = ({"text": TEXTS[n], **_facts("text", n)._asdict()} for n in _numbers(kind))
    (root / "t.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return str(root / "s.parquet"), str(root / "t.jsonl")


def datasets(root: Path) -> Files:
    """A Hugging Face dataset of two Parquet files, and one of a CSV file, both streamed."""
    kind = "datasets"
    cells, facts = [{"bytes": data, "path": None} for data in _drawn(kind)], _columns("image", kind)
    (root / "scenes").mkdir(parents=True)
    for number, rows in enumerate((slice(0, 12), slice(12, PART))):
        table = pa.table({"image": cells[rows], **{name: facts[name][rows] for name in facts}})
        pq.write_table(table, root / "scenes" / f"train-{number:05}-of-00002.parquet", row_group_size=5)
    (root / "said").mkdir()
    _csv(root / "said" / "train.csv", {"text": _said(kind), **_columns("text", kind)})
    return f"hf:{root / 'scenes'}", f"hf:{root / 'said'}"


MAKERS = (folder_and_csv, tar_and_txt, parquet_and_jsonl, datasets)


def _csv(path: Path, columns: dict[str, list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _build(files: tuple[Path, Path], root: Path, *settings: str) -> Built:
    images, texts = map(str, files)
    return build(root / "own", root / "work", "--images", images, "--texts", texts, settings=settings)


def _reconciled(built: Built, modality: str) -> int:
    """How many rows of a modality went in, all of which must have come out."""
    ledger = built.manifest["rows"][modality]
    assert ledger["rows_in"] == ledger["written"] + ledger["excluded"] + ledger["failed"]
    return int(ledger["rows_in"])


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """One build from sources of every kind, without anything hostile in them."""
    root = tmp_path_factory.mktemp("plain")
    images, texts = zip(*(make(root) for make in MAKERS), strict=True)
    sources = (f"images.source={list(images)}", f"texts.source={list(texts)}")
    return build(root / "own", root / "work", settings=(*FEW, *sources, few_scenarios(root)))


def test_a_source_without_a_row_is_named(tmp_path: Path) -> None:
    (tmp_path / "images").mkdir()
    (tmp_path / "texts.txt").write_text("\n".join(TEXTS[:5]), encoding="utf-8")
    built = _build((tmp_path / "images", tmp_path / "texts.txt"), tmp_path, few_scenarios(tmp_path))
    assert (built.status, "no image was read: look at `images.source`" in built.stdout) == (1, True)
    assert "The models of this profile do not know your material" in " ".join(built.stdout.split())
    assert "There is no pair in this build" in (built.out / "README.md").read_text(encoding="utf-8")


def test_every_row_of_every_source_is_accounted_for(plain: Built) -> None:
    assert _reconciled(plain, "image") == _reconciled(plain, "text") == PART * len(KINDS)
    assert {row["role"] for row in plain.rows("data")} == set(ROLES)
    assert "Traceback" not in plain.stderr


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_source_says_of_its_images_arrives_in_the_rows(kind: str, plain: Built) -> None:
    rows = {row["image_id"]: row for row in plain.rows("data")}.values()
    found = [row for row in rows if _number(row["image_source"]) in _numbers(kind)]
    assert found
    for row in found:
        number = _number(row["image_source"])
        assert _written(row, "image") == _facts("image", number)
        assert _number(row["image_name"]) == number % PART
        assert row["image_origin"] == "retrieved"


@pytest.mark.parametrize("kind", KINDS)
def test_what_a_source_says_of_its_texts_arrives_in_the_rows(kind: str, plain: Built) -> None:
    rows = {row["text_id"]: row for row in plain.rows("data")}.values()
    found = [row for row in rows if TEXTS.index(row["text"]) in _numbers(kind)]
    assert found
    for row in found:
        told = Facts("", "t.txt", "") if kind == "tar and txt" else _facts("text", TEXTS.index(row["text"]))
        assert _written(row, "text") == told
        assert row["text_origin"] == "retrieved"


def _written(row: dict[str, Any], modality: str) -> Facts:
    return Facts(*(row[f"{modality}_{name}"] for name in Facts._fields))


def _number(name: str) -> int:
    """The number in `7.png`, `007.png`, `row 7` or `https://image.test/7`."""
    return int(re.findall(r"\d+", name)[-1])


@pytest.fixture(scope="session")
def hostile(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """A folder of hostile images, and what each name must come to."""
    folder = tmp_path_factory.mktemp("hostile") / "images"
    return folder, hostile_folder(folder)


def test_hostile_inputs_end_in_rows_with_a_reason_each(
    plain: Built, hostile: tuple[Path, dict[str, str]], tmp_path: Path
) -> None:
    folder, images = hostile
    texts = hostile_jsonl(tmp_path / "texts.jsonl")
    built = _build((folder, tmp_path / "texts.jsonl"), tmp_path, *FEW, few_scenarios(tmp_path))
    assert len(images) >= 60
    assert _reconciled(built, "image") == len(images)
    assert _reconciled(built, "text") == len(texts)
    dropped = [*built.rows("excluded"), *built.rows("failed")]
    reasons = {(row["modality"], row["name"]): row.get("reason") or row["error"] for row in dropped}
    assert all(reasons.values())
    assert {row["reason"] for row in built.rows("excluded")} <= set(REASONS)
    for name, expected in images.items():
        _expect(reasons.get(("image", os.fsencode(name).decode("utf-8", "backslashreplace"))), expected)
    found = Counter(row["reason"] for row in dropped if row["modality"] == "text" and "reason" in row)
    assert not Counter(reason for reason in texts if reason) - found
    assert built.peak < plain.peak + MEMORY
    assert "Traceback" not in built.stderr


def _expect(reason: str | None, expected: str) -> None:
    """A usable image may still be a copy of another one or be left without a pair; damage has many names."""
    if expected == "":
        assert reason in (None, "unused", "harmful_alone", "exact_duplicate", "near_duplicate")
    elif expected != "cut":
        assert reason == expected
    else:
        assert reason


@pytest.mark.skipif(not PHOTOS.is_dir(), reason="the photographs are not beside this checkout")
def test_photographs_run_to_a_report_that_says_what_it_is_worth(tmp_path: Path) -> None:
    limits = ("images.limit=60", "texts.limit=300")
    built = _build((PHOTOS / "photos", PHOTOS / "captions.csv"), tmp_path, *limits)
    assert (_reconciled(built, "image"), _reconciled(built, "text")) == (60, 300)
    (notice,) = built.manifest["notices"]
    assert "mean nothing" in notice
    assert notice.split(".")[0] in (built.out / "report.html").read_text(encoding="utf-8")
    assert built.manifest["scores"] == {}
