import base64
import io
import json
import pickle
import tarfile
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Features, Image, Value

from generators.corpora import Row, Source, SourceError, TooLarge, open_images, open_texts
from generators.decode import Unusable
from generators.streamed import part_of
from schemas.records import Excluded, Failed, RawAsset

PICTURE = Features({"image": Image(), "caption": Value("string"), "licence": Value("string")})
BYTES = [b"picture %d" % number for number in range(10)]


def _assets(rows: Iterable[Row]) -> list[RawAsset]:
    found = list(rows)
    assert all(isinstance(row, RawAsset) for row in found)
    return [row for row in found if isinstance(row, RawAsset)]


def _parquet(path: Path, cells: list[Any], **columns: list[Any]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    captions = [f"no. {number}" for number in range(len(cells))]
    table = {"image": cells, "caption": captions, "licence": ["CC0"] * len(cells), **columns}
    pq.write_table(pa.table(table, PICTURE.arrow_schema), path, row_group_size=3)


def _embedded(data: Iterable[bytes]) -> list[dict[str, Any]]:
    return [{"bytes": one, "path": f"{number}.png"} for number, one in enumerate(data)]


def _tar(path: Path, numbers: Iterable[int]) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with tarfile.open(path, "w") as tar:
        for number in numbers:
            facts = json.dumps({"license": "CC-BY", "url": f"https://x.test/{number}"}).encode()
            for suffix, data in (("jpg", BYTES[number]), ("json", facts), ("txt", b"A dog")):
                info = tarfile.TarInfo(f"{number:03}.{suffix}")
                info.size = len(data)
                tar.addfile(info, io.BytesIO(data))


@pytest.fixture
def shards(tmp_path: Path) -> Path:
    """Ten images in two Parquet files, of four row groups in all."""
    for number in range(2):
        name = f"pictures/data/train-{number:05}-of-00002.parquet"
        _parquet(tmp_path / name, _embedded(BYTES[number * 5 : number * 5 + 5]))
    return tmp_path / "pictures"


def test_parquet_images_are_listed_in_order_with_their_columns(shards: Path) -> None:
    rows = _assets(open_images(f"hf:{shards}").rows())
    assert [row.provenance.name for row in rows] == [f"row {number}" for number in range(10)]
    assert rows[6].provenance[:5] == ("pictures", "row 6", "retrieved", "CC0", "no. 1")


def test_images_are_read_in_any_order_and_in_another_process(shards: Path) -> None:
    source = open_images(f"hf:{shards}")
    rows = _assets(source.rows())
    copy = pickle.loads(pickle.dumps(source))  # noqa: S301
    for number in (9, 0, 4, 4, 5, 3):
        assert copy.read(rows[number].locator, 100) == BYTES[number]
    assert len(pickle.dumps(copy)) < 1000


def test_rows_of_one_row_group_are_one_part(shards: Path) -> None:
    parts = [part_of(row.locator) for row in _assets(open_images(f"hf:{shards}").rows())]
    assert parts == ["0:0"] * 3 + ["0:1"] * 2 + ["1:0"] * 3 + ["1:1"] * 2


def test_over_the_cap_is_too_large(shards: Path) -> None:
    source = open_images(f"hf:{shards}")
    with pytest.raises(TooLarge):
        source.read("0:0:0", 5)


def test_listing_does_not_read_the_images(tmp_path: Path) -> None:
    _parquet(tmp_path / "p" / "train.parquet", _embedded([b"\x00" * 5000]))
    whole = (tmp_path / "p" / "train.parquet").read_bytes()
    (tmp_path / "p" / "train.parquet").write_bytes(whole[:100] + b"x" * 200 + whole[300:])
    source = open_images(f"hf:{tmp_path / 'p'}")
    (row,) = _assets(source.rows())
    with pytest.raises(OSError, match="file 0 cannot be read"):
        source.read(row.locator, 10_000)


def test_a_limit_opens_no_further_file(shards: Path) -> None:
    (shards / "data" / "train-00001-of-00002.parquet").write_bytes(b"no Parquet at all")
    rows = open_images(f"hf:{shards}").rows()
    assert [next(rows).provenance.name for _ in range(5)] == [f"row {number}" for number in range(5)]  # type: ignore[union-attr]
    rest = list(rows)
    assert len(rest) == 1 and isinstance(rest[0], Failed) and rest[0].name == "row 5 and after, in file 1"


def test_addresses_are_not_fetched(tmp_path: Path) -> None:
    (tmp_path / "there.png").write_bytes(b"somebody's file")
    paths = [str(tmp_path / "there.png"), "http://127.0.0.1:1/x.png", None]
    _parquet(tmp_path / "p" / "train.parquet", [{"bytes": None, "path": path} for path in paths])
    source = open_images(f"hf:{tmp_path / 'p'}")
    one, two, three = _assets(source.rows())
    for row in (one, two):
        with pytest.raises(Unusable, match="not_embedded"):
            source.read(row.locator, 1000)
    assert source.read(three.locator, 1000) == b""


@pytest.mark.parametrize("layout", ["csv", "jsonl"])
def test_a_table_of_addresses_holds_no_images(tmp_path: Path, layout: str) -> None:
    (tmp_path / "d").mkdir()
    rows = {"csv": "image,licence\n/etc/hosts,CC0\n", "jsonl": '{"image": "/etc/hosts", "licence": "CC0"}\n'}
    (tmp_path / "d" / f"train.{layout}").write_text(rows[layout])
    source = open_images(f"hf:{tmp_path / 'd'}")
    (row,) = _assets(source.rows())
    assert row.provenance.licence == "CC0"
    with pytest.raises(Unusable, match="not_embedded"):
        source.read(row.locator, 1000)


def test_a_webdataset_gives_images_with_their_sidecars(tmp_path: Path) -> None:
    _tar(tmp_path / "w" / "train-0.tar", range(6))
    _tar(tmp_path / "w" / "train-1.tar", range(6, 10))
    source = open_images(f"hf:{tmp_path / 'w'}")
    rows = _assets(source.rows())
    assert rows[7].provenance[:5] == ("https://x.test/7", "row 7", "retrieved", "CC-BY", "A dog")
    assert [source.read(row.locator, 100) for row in rows] == BYTES


def test_a_damaged_tar_ends_in_a_failed_row(tmp_path: Path) -> None:
    _tar(tmp_path / "w" / "train-0.tar", range(10))
    path = tmp_path / "w" / "train-0.tar"
    path.write_bytes(path.read_bytes()[: 512 * 2 * 3 * 8 + 700])
    rows = list(open_images(f"hf:{tmp_path / 'w'}").rows())
    assert isinstance(rows[-1], Failed) and len(rows) > 7


def test_the_identity_changes_with_the_files(shards: Path) -> None:
    before = open_images(f"hf:{shards}").identity("0:0:0")
    assert open_images(f"hf:{shards}").identity("0:0:0") == before
    _parquet(shards / "data" / "train-00001-of-00002.parquet", _embedded(BYTES[:1]))
    assert open_images(f"hf:{shards}").identity("0:0:0") != before


def test_the_split_is_train_the_only_one_or_the_one_asked_for(tmp_path: Path) -> None:
    for split in ("train", "test"):
        _parquet(tmp_path / "p" / f"{split}.parquet", _embedded(BYTES[: 1 + (split == "test")]))
    _parquet(tmp_path / "q" / "validation.parquet", _embedded(BYTES[:3]))
    spelled = (f"hf:{tmp_path / 'p'}", f"hf:{tmp_path / 'p'}?split=test", f"hf:{tmp_path / 'q'}")
    assert [len(_assets(open_images(source).rows())) for source in spelled] == [1, 2, 3]
    with pytest.raises(SourceError, match=r"no split 'dev'.* splits: train, test"):
        open_images(f"hf:{tmp_path / 'p'}?split=dev")


def test_a_configuration_is_chosen_by_name(tmp_path: Path) -> None:
    for name in ("cats", "dogs"):
        _parquet(tmp_path / "p" / name / "train.parquet", _embedded(BYTES[: 1 + (name == "dogs")]))
    configs = "\n".join(f"- config_name: {name}\n  data_files: {name}/*" for name in ("cats", "dogs"))
    (tmp_path / "p" / "README.md").write_text(f"---\nconfigs:\n{configs}\n---\n")
    assert len(_assets(open_images(f"hf:{tmp_path / 'p'}?config=dogs").rows())) == 2
    with pytest.raises(SourceError, match=r"write \?config= .*'cats', 'dogs'"):
        open_images(f"hf:{tmp_path / 'p'}")


@pytest.mark.parametrize("outside", ["../secret.csv", "{root}/secret.csv"])
def test_a_card_cannot_name_files_outside_of_the_dataset(tmp_path: Path, outside: str) -> None:
    (tmp_path / "secret.csv").write_text("text\npassword\n")
    (tmp_path / "p").mkdir()
    named = outside.format(root=tmp_path)
    (tmp_path / "p" / "README.md").write_text(
        f"---\nconfigs:\n- config_name: a\n  data_files: {named}\n---\n"
    )
    with pytest.raises(SourceError, match="names a file outside of it"):
        open_texts(f"hf:{tmp_path / 'p'}")


def test_without_a_column_of_images_the_columns_are_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("first,second\n1,2\n")
    with pytest.raises(SourceError, match="no column `image`; its columns: first, second"):
        open_images(f"hf:{tmp_path / 'train.csv'}")


def test_the_only_column_of_images_needs_no_name(tmp_path: Path) -> None:
    features = Features({"photo": Image(), "n": Value("int64")})
    pq.write_table(
        pa.table({"photo": _embedded(BYTES), "n": range(10)}, features.arrow_schema), tmp_path / "x.parquet"
    )
    source = open_images(f"hf:{tmp_path / 'x.parquet'}")
    assert [source.read(row.locator, 100) for row in _assets(source.rows())] == BYTES


def test_images_as_single_files_are_refused_with_the_way_out(tmp_path: Path) -> None:
    pixel = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mP8z8BQDwAEhQGAhKmMIQAAAABJRU5ErkJggg=="
    (tmp_path / "a.png").write_bytes(base64.b64decode(pixel))
    with pytest.raises(SourceError, match="without `hf:`"):
        open_images(f"hf:{tmp_path}")


@pytest.mark.parametrize(
    ("name", "match"),
    [("gone", "there is no"), ("a.pkl", "not supported"), ("bad.parquet", "cannot be opened")],
)
def test_impossible_files_are_refused_by_name(tmp_path: Path, name: str, match: str) -> None:
    if name != "gone":
        (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(SourceError, match=match):
        open_images(f"hf:{tmp_path / name}")


def _texts(path: Path, texts: list[Any]) -> Source:
    path.parent.mkdir()
    columns = {"text": texts, "license": ["CC0"] * len(texts), "caption": ["a caption"] * len(texts)}
    if path.suffix == ".parquet":
        pq.write_table(pa.table(columns), path, row_group_size=2)
    elif path.suffix == ".jsonl":
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
        path.write_text("\n".join(map(json.dumps, rows)))
    else:
        lines = [",".join(columns), *(",".join(map(str, r)) for r in zip(*columns.values(), strict=True))]
        path.write_text("\n".join(lines))
    return open_texts(f"hf:{path.parent}")


@pytest.mark.parametrize("name", ["train.csv", "train.jsonl", "train.parquet"])
def test_texts_of_all_layouts_carry_their_columns(tmp_path: Path, name: str) -> None:
    source = _texts(tmp_path / "said" / name, ["Hello", "Bye", "Thanks"])
    rows = _assets(source.rows())
    assert [row.locator for row in rows] == ["Hello", "Bye", "Thanks"]
    assert rows[2].provenance[:5] == ("said", "row 2", "retrieved", "CC0", "a caption")


def test_a_row_without_a_text_is_excluded_alone(tmp_path: Path) -> None:
    one, two, three = _texts(tmp_path / "said" / "train.jsonl", ["Hello", None, "x" * 1_000_001]).rows()
    assert isinstance(one, RawAsset)
    assert [row.reason for row in (two, three) if isinstance(row, Excluded)] == ["malformed", "too_long"]


def test_the_column_of_texts_can_be_named(tmp_path: Path) -> None:
    (tmp_path / "train.csv").write_text("said,by\nHello,Ann\n")
    (row,) = _assets(open_texts(f"hf:{tmp_path / 'train.csv'}", "said").rows())
    assert row.locator == "Hello"
    with pytest.raises(SourceError, match="its columns: said, by"):
        open_texts(f"hf:{tmp_path / 'train.csv'}", "text")
