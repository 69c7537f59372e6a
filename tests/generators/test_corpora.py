import io
import os
import pickle
import tarfile
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from generators.corpora import SourceError, TooLarge, open_images, open_texts
from schemas.records import Excluded, Failed, RawAsset


def _assets(rows: object) -> list[RawAsset]:
    rows = list(rows)  # type: ignore[call-overload]
    assert all(isinstance(row, RawAsset) for row in rows)
    return rows


def _tar(path: Path, members: dict[str, bytes]) -> Path:
    with tarfile.open(path, "w") as tar:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            tar.addfile(info, io.BytesIO(data))
    return path


def test_a_folder_is_listed_sorted_with_its_metadata(tmp_path: Path) -> None:
    (tmp_path / "sub").mkdir()
    for name in ("b.jpg", "a.jpg", "sub/c.jpg"):
        (tmp_path / name).write_bytes(name.encode())
    (tmp_path / "metadata.csv").write_text(
        "file_name,license,source,text\nsub/c.jpg,CC0,https://x.test,A cat\n"
    )
    source = open_images(str(tmp_path))
    rows = _assets(source.rows())
    assert [row.provenance.name for row in rows] == ["a.jpg", "b.jpg", "sub/c.jpg"]
    assert [source.read(row.locator, 100) for row in rows] == [b"a.jpg", b"b.jpg", b"sub/c.jpg"]
    assert rows[2].provenance[:5] == ("https://x.test", "sub/c.jpg", "retrieved", "CC0", "A cat")
    assert rows[0].provenance.source == tmp_path.name


def test_unreadable_metadata_is_named_before_anything_runs(tmp_path: Path) -> None:
    (tmp_path / "metadata.jsonl").write_text("{broken")
    with pytest.raises(SourceError, match=r"metadata\.jsonl cannot be read"):
        open_images(str(tmp_path))


def test_a_link_turned_outside_after_listing_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    (tmp_path / "secret").write_bytes(b"secret")
    (tmp_path / "in" / "a.jpg").write_bytes(b"a")
    source = open_images(str(tmp_path / "in"))
    (row,) = _assets(source.rows())
    (tmp_path / "in" / "a.jpg").unlink()
    (tmp_path / "in" / "a.jpg").symlink_to(tmp_path / "secret")
    with pytest.raises(OSError, match="no longer a file inside"):
        source.read(row.locator, 100)


def test_too_many_bytes_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(bytes(11))
    source = open_images(str(tmp_path))
    with pytest.raises(TooLarge):
        source.read("a.jpg", 10)


def test_the_identity_changes_with_the_file(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"1")
    source = open_images(str(tmp_path))
    before = source.identity("a.jpg")
    os.utime(tmp_path / "a.jpg", ns=(1, 1))
    assert source.identity("a.jpg") != before


def test_a_tar_gives_images_with_their_sidecars(tmp_path: Path) -> None:
    members = {
        "d/1.jpg": b"one",
        "d/1.txt": b"A dog\n",
        "d/1.json": b'{"license": "CC-BY", "url": "https://x.test"}',
    }
    path = _tar(
        tmp_path / "x.tar", members | {"d/2.png": b"two", "d/3.cls": b"7", "4.jpg": b"", "4.json": b"{"}
    )
    source = open_images(str(path))
    one, two, three, four = source.rows()
    assert isinstance(one, RawAsset) and isinstance(two, RawAsset)
    assert one.provenance[:5] == ("https://x.test", "d/1.jpg", "retrieved", "CC-BY", "A dog")
    assert [source.read(row.locator, 10) for row in (one, two)] == [b"one", b"two"]
    assert isinstance(three, Excluded) and three.reason == "no_image"
    assert isinstance(four, Failed) and four.error == "JSONDecodeError"


def test_links_in_a_tar_are_excluded(tmp_path: Path) -> None:
    with tarfile.open(tmp_path / "x.tar", "w") as tar:
        info = tarfile.TarInfo("a.jpg")
        info.type, info.linkname = tarfile.SYMTYPE, "/etc/passwd"
        tar.addfile(info)
    (row,) = open_images(str(tmp_path / "x.tar")).rows()
    assert isinstance(row, Excluded) and row.reason == "not_a_file"


@pytest.mark.parametrize("cut", [3 * 512, 2 * 512 + 100])
def test_damage_in_a_tar_ends_in_a_failed_row(tmp_path: Path, cut: int) -> None:
    path = _tar(tmp_path / "x.tar", {"1.jpg": b"one", "2.jpg": bytes(2000)})
    whole = path.read_bytes()
    path.write_bytes(whole[:cut] if cut % 512 == 0 else whole[:1024] + b"x" * 512 + whole[1536:])
    first, *rest = open_images(str(path)).rows()
    assert isinstance(first, RawAsset)
    assert any(isinstance(row, Failed) and "and after" in row.name for row in rest)


@pytest.mark.parametrize("struct", [True, False])
def test_parquet_images_are_read_in_any_order(tmp_path: Path, struct: bool) -> None:
    cells = [b"a", None, b"ccc", b"d"]
    images = [{"bytes": c, "path": None} for c in cells] if struct else cells
    table = pa.table(
        {"image": images if struct else pa.array(cells, pa.binary()), "license": ["x", "", None, "y"]}
    )
    pq.write_table(table, tmp_path / "x.parquet", row_group_size=3)
    source = pickle.loads(pickle.dumps(open_images(str(tmp_path / "x.parquet"))))  # noqa: S301
    rows = _assets(source.rows())
    assert [row.provenance.licence for row in rows] == ["x", "", "", "y"]
    for number in (3, 0, 2, 1, 1):
        assert source.read(rows[number].locator, 100) == (cells[number] or b"")
    with pytest.raises(TooLarge):
        source.read(rows[2].locator, 2)


@pytest.mark.parametrize(
    ("name", "match"),
    [("gone", "there is no"), ("a.zip", "not supported"), ("bad.tar", "tar"), ("bad.parquet", "Parquet")],
)
def test_impossible_image_sources_are_refused(tmp_path: Path, name: str, match: str) -> None:
    if name != "gone":
        (tmp_path / name).write_bytes(b"nonsense")
    with pytest.raises(SourceError, match=match):
        open_images(str(tmp_path / name))


def test_a_parquet_file_without_images_names_its_columns(tmp_path: Path) -> None:
    pq.write_table(pa.table({"picture": ["x"], "b": [1]}), tmp_path / "x.parquet")
    with pytest.raises(SourceError, match="picture, b"):
        open_images(str(tmp_path / "x.parquet"))


def test_texts_of_all_kinds_carry_their_columns(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,caption,licence\n1,"Hi, you",CC0\n')
    (tmp_path / "a.jsonl").write_text('{"text": "Hi, you", "licence": "CC0"}\n')
    pq.write_table(pa.table({"text": ["Hi, you"], "licence": ["CC0"]}), tmp_path / "a.parquet")
    for suffix in ("csv", "jsonl", "parquet"):
        (row,) = _assets(open_texts(str(tmp_path / f"a.{suffix}")).rows())
        assert (row.locator, row.provenance.licence, row.provenance.source) == (
            "Hi, you",
            "CC0",
            f"a.{suffix}",
        )


@pytest.mark.parametrize("delimiter", [";", "\t"])
def test_what_parts_the_header_of_a_csv_parts_its_rows(tmp_path: Path, delimiter: str) -> None:
    lines = (("id", "text", "licence"), ("1", "Hello, my friend", "CC0"))
    (tmp_path / "a.csv").write_text("\n".join(map(delimiter.join, lines)))
    (row,) = _assets(open_texts(str(tmp_path / "a.csv")).rows())
    assert (row.locator, row.provenance.licence) == ("Hello, my friend", "CC0")


def test_what_stands_within_quotes_parts_no_header(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text('id,text,"tags (a; b; c; d)"\n1,Hello,none\n')
    (row,) = _assets(open_texts(str(tmp_path / "a.csv")).rows())
    assert row.locator == "Hello"


@pytest.mark.parametrize("name", ["a.csv", "a.jsonl", "a.parquet"])
def test_a_missing_column_names_the_columns_there_are(tmp_path: Path, name: str) -> None:
    (tmp_path / "a.csv").write_text("first,second\n1,2\n")
    (tmp_path / "a.jsonl").write_text('{"first": 1, "second": "x"}\n')
    pq.write_table(pa.table({"first": [1], "second": ["x"]}), tmp_path / "a.parquet")
    for column in ("", "third"):
        with pytest.raises(SourceError, match="first, second"):
            open_texts(str(tmp_path / name), column)


def test_the_only_column_is_taken(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("utterance\nhello\n")
    (row,) = _assets(open_texts(str(tmp_path / "a.csv")).rows())
    assert row.locator == "hello"


def test_parquet_texts_that_are_not_utf8_are_excluded_alone(tmp_path: Path) -> None:
    offsets, data = pa.py_buffer(bytes([0, 0, 0, 0, 1, 0, 0, 0, 3, 0, 0, 0])), pa.py_buffer(b"\xffok")
    pq.write_table(pa.table({"text": pa.StringArray.from_buffers(2, offsets, data)}), tmp_path / "a.parquet")
    bad, good = open_texts(str(tmp_path / "a.parquet")).rows()
    assert isinstance(bad, Excluded) and bad.reason == "not_utf8"
    assert isinstance(good, RawAsset) and good.locator == "ok"
