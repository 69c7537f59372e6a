import hashlib
import io
from pathlib import Path

import fsspec
import pytest
from PIL import Image

from annotation.pictures import BrokenPictureError, Bucket, Folder, export, picture
from tests.datasets import pair_id, rows, write_dataset


def _encoded(kind: str, size: tuple[int, int] = (8, 8)) -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", size).save(buffer, kind)
    return buffer.getvalue()


@pytest.mark.parametrize(("kind", "ending"), [("JPEG", "jpg"), ("PNG", "png"), ("WEBP", "webp")])
def test_a_picture_is_named_by_its_sha256(kind: str, ending: str) -> None:
    content = _encoded(kind)

    assert picture({"bytes": content}) == (f"{hashlib.sha256(content).hexdigest()}.{ending}", content)


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, "missing"),
        ({"bytes": b""}, "missing"),
        ({"bytes": b"no picture"}, "not a picture"),
        ({"bytes": _encoded("JPEG")[:300]}, "not a picture"),
        ({"bytes": _encoded("GIF")}, "not a picture"),
        ({"bytes": _encoded("PNG", (7000, 7000))}, "larger than 40,000,000 pixels"),
    ],
)
def test_what_is_no_whole_picture_is_refused(value: object, said: str) -> None:
    with pytest.raises(BrokenPictureError, match=said):
        picture(value)


def test_the_pictures_of_the_wanted_pairs_only_are_put_once(tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "small", rows(6))
    folder = Folder(tmp_path, "shown")

    shown, broken = export(dataset, {pair_id(1), pair_id(4)}, folder)
    first = {path: path.stat().st_mtime_ns for path in folder.path.rglob("*.png")}
    again, _ = export(dataset, {pair_id(1), pair_id(4)}, folder)

    assert (shown, broken) == (again, {})
    assert len(first) == 4
    assert {path: path.stat().st_mtime_ns for path in folder.path.rglob("*.png")} == first
    name = hashlib.sha256(rows(6)[1]["image"]["bytes"]).hexdigest()
    assert shown[pair_id(1)].image == f"/data/local-files/?d=shown/{name[:2]}/{name}.png"


def test_a_bucket_gets_the_same_names() -> None:
    bucket = Bucket("memory://mine/pairs")
    name, content = picture({"bytes": _encoded("PNG")})

    assert bucket.put(name, content) == bucket.put(name, content) == f"memory://mine/pairs/{name[:2]}/{name}"
    assert fsspec.filesystem("memory").cat(f"/mine/pairs/{name[:2]}/{name}") == content
