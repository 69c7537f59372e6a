"""Builds from a user's own files: each kind of source, hostile inputs, and photographs if they are there."""

from __future__ import annotations

import csv
import io
import json
import os
import tarfile
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from generators.tinyworld.source import Scenes, Utterances
from schemas.records import ROLES
from tests.builds import ANY_SCORE, Built, build, few_scenarios
from tests.forked import ROOT
from tests.hostile import hostile_folder, hostile_jsonl

pytestmark = pytest.mark.timeout(600)
PHOTOS = ROOT.parent / "shared" / "data"
COUNT = 60
FEW = (*ANY_SCORE, "pair.baseline_candidates=20", "contrast.neighbours=3")
MEMORY = 1_000_000_000
"""Bytes that hostile inputs may cost beyond what models and libraries take anyway."""
Files = tuple[Path, Path]
TEXTS = [row.locator for row in Utterances(COUNT, 0, 7).rows()]


class Facts(NamedTuple):
    """What a row of a source says about itself."""

    licence: str
    source: str
    caption: str


def _facts(modality: str, number: int) -> Facts:
    return Facts(f"licence {number % 3}", f"https://{modality}.test/{number}", f"{modality} no. {number}")


def _drawn() -> Iterator[bytes]:
    scenes = Scenes(COUNT, 0, 7)
    return (scenes.read(name, 1 << 30) for name in scenes.names())


def _columns(modality: str) -> dict[str, list[str]]:
    facts = [_facts(modality, number) for number in range(COUNT)]
    return {name: [getattr(f, name) for f in facts] for name in Facts._fields}


def folder_and_csv(root: Path) -> Files:
    """PNG files with a `metadata.csv`, and a CSV file whose licences have the American spelling."""
    images = root / "pictures"
    images.mkdir(parents=True)
    for number, data in enumerate(_drawn()):
        (images / f"{number}.png").write_bytes(data)
    _csv(images / "metadata.csv", {"file_name": [f"{n}.png" for n in range(COUNT)], **_columns("image")})
    columns = _columns("text")
    _csv(root / "t.csv", {"text": TEXTS, "license": columns.pop("licence"), **columns})
    return images, root / "t.csv"


def tar_and_txt(root: Path) -> Files:
    """A WebDataset with a JSON beside each image, and a text a line."""
    root.mkdir(parents=True)
    with tarfile.open(root / "scenes.tar", "w") as tar:
        for number, data in enumerate(_drawn()):
            facts = json.dumps(_facts("image", number)._asdict()).encode()
            for suffix, content in (("json", facts), ("png", data)):
                member = tarfile.TarInfo(f"{number:03}.{suffix}")
                member.size = len(content)
                tar.addfile(member, io.BytesIO(content))
    (root / "t.txt").write_text("\n".join(TEXTS), encoding="utf-8")
    return root / "scenes.tar", root / "t.txt"


def parquet_and_jsonl(root: Path) -> Files:
    """A Parquet file of Hugging Face's Image structs, and a JSON object a line."""
    root.mkdir(parents=True)
    cells = [{"bytes": data, "path": None} for data in _drawn()]
    pq.write_table(pa.table({"image": cells, **_columns("image")}), root / "s.parquet", row_group_size=25)
    records = ({"text": text, **_facts("text", number)._asdict()} for number, text in enumerate(TEXTS))
    (root / "t.jsonl").write_text("\n".join(map(json.dumps, records)), encoding="utf-8")
    return root / "s.parquet", root / "t.jsonl"


def dataset_and_csv(root: Path) -> Files:
    """A Hugging Face dataset of two Parquet files, and one of a CSV file."""
    cells, facts = [{"bytes": data, "path": None} for data in _drawn()], _columns("image")
    (root / "scenes").mkdir(parents=True)
    for number, rows in enumerate((slice(0, 35), slice(35, COUNT))):
        table = pa.table({"image": cells[rows], **{name: facts[name][rows] for name in facts}})
        pq.write_table(table, root / "scenes" / f"train-{number:05}-of-00002.parquet", row_group_size=20)
    (root / "said").mkdir()
    _csv(root / "said" / "train.csv", {"text": TEXTS, **_columns("text")})
    return root / "scenes", root / "said"


def _csv(path: Path, columns: dict[str, list[str]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(columns)
        writer.writerows(zip(*columns.values(), strict=True))


def _build(files: Files, root: Path, *settings: str) -> Built:
    images, texts = map(str, files)
    return build(root / "own", root / "work", "--images", images, "--texts", texts, settings=settings)


def _reconciled(built: Built, modality: str) -> int:
    """How many rows of a modality went in, all of which must have come out."""
    ledger = built.manifest["rows"][modality]
    assert ledger["rows_in"] == ledger["written"] + ledger["excluded"] + ledger["failed"]
    return int(ledger["rows_in"])


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A build from a folder and a CSV file without anything hostile in them."""
    root = tmp_path_factory.mktemp("plain")
    return _build(folder_and_csv(root / "sources"), root, *FEW, few_scenarios(root))


def test_what_a_folder_and_a_csv_file_say_arrives_in_the_rows(plain: Built) -> None:
    _check_rows(plain, lambda text: _facts("text", TEXTS.index(text)))


def test_what_a_parquet_and_a_jsonl_file_say_arrives_in_the_rows(tmp_path: Path) -> None:
    built = _build(parquet_and_jsonl(tmp_path / "sources"), tmp_path, *FEW, few_scenarios(tmp_path))
    _check_rows(built, lambda text: _facts("text", TEXTS.index(text)))


def test_what_streamed_datasets_say_arrives_in_the_rows(tmp_path: Path) -> None:
    images, texts = (f"hf:{path}" for path in dataset_and_csv(tmp_path / "sources"))
    arguments = ("--images", images, "--texts", texts)
    built = build(tmp_path / "own", tmp_path / "work", *arguments, settings=(*FEW, few_scenarios(tmp_path)))
    _check_rows(built, lambda text: _facts("text", TEXTS.index(text)))
    assert "Traceback" not in built.stderr


def test_what_a_tar_says_and_the_name_of_a_txt_file_arrive_in_the_rows(tmp_path: Path) -> None:
    built = _build(tar_and_txt(tmp_path / "sources"), tmp_path, *FEW, few_scenarios(tmp_path))
    _check_rows(built, lambda text: Facts("", "t.txt", ""))


def _check_rows(built: Built, facts_of: Callable[[str], Facts]) -> None:
    assert _reconciled(built, "image") == _reconciled(built, "text") == COUNT
    rows = built.rows("data")
    assert {row["role"] for row in rows} == set(ROLES)
    for row in rows:
        assert row["text"] in TEXTS
        assert _written(row, "text") == facts_of(row["text"])
        assert _written(row, "image") == _facts("image", _number(row["image_name"]))
        assert row["image_origin"] == row["text_origin"] == "retrieved"


def _written(row: dict[str, Any], modality: str) -> Facts:
    return Facts(*(row[f"{modality}_{name}"] for name in Facts._fields))


def _number(name: str) -> int:
    """The number in `7.png`, `007.png` or `row 7`."""
    return int(name.removesuffix(".png").removeprefix("row "))


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
