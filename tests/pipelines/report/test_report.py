import json
import re
from html.parser import HTMLParser
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from pipelines.report import write_report
from schemas.tables import pair_schema


class _Tags(HTMLParser):
    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def all(self, tag: str) -> list[dict[str, str | None]]:
        return [attrs for name, attrs in self.found if name == tag]


def _html(dataset: Path) -> str:
    return write_report(dataset).read_text(encoding="utf-8")


def test_the_report_is_the_same_bytes_twice(small_dataset: Path) -> None:
    first = write_report(small_dataset).read_bytes()
    assert write_report(small_dataset).read_bytes() == first


def test_nothing_is_loaded_from_outside(small_dataset: Path) -> None:
    html = _html(small_dataset)
    tags = _Tags(html)
    assert not tags.all("script") and not tags.all("link") and not tags.all("iframe")
    assert all(str(image["src"]).startswith("data:image/jpeg;base64,") for image in tags.all("img"))
    assert not re.findall(r"url\((?!#)|@import", html)
    assert "default-src 'none'" in html


def test_every_image_is_behind_a_labelled_checkbox(small_dataset: Path) -> None:
    tags = _Tags(_html(small_dataset))
    boxes = [box for box in tags.all("input") if "aria-label" in box]
    assert (
        len(boxes) == len(tags.all("img")) == len([x for x in tags.all("label") if x.get("class") == "veil"])
    )
    assert all(box["type"] == "checkbox" and "checked" not in box for box in tags.all("input"))


def test_all_images_have_a_text_for_those_who_do_not_see_them(small_dataset: Path) -> None:
    assert all(image["alt"] for image in _Tags(_html(small_dataset)).all("img"))


def test_texts_of_the_data_are_escaped(small_dataset: Path) -> None:
    path = next((small_dataset / "data").glob("validation-*"))
    rows = pq.read_table(path).to_pylist()
    hostile = "<script>alert(1)</script>"
    rows = [
        row | {"text": hostile, "rationale": hostile, "hazard": hostile, "image_caption": '"><b>'}
        for row in rows
    ]
    pq.write_table(pa.Table.from_pylist(rows, pair_schema()), path)
    html = _html(small_dataset)
    assert hostile not in html
    assert "&lt;script&gt;" in html


def test_notices_come_before_the_figures(small_dataset: Path) -> None:
    html = _html(small_dataset)
    assert html.index("they mean nothing") < html.index("pairs written")


def test_a_dataset_without_ground_truth_has_no_scores(small_dataset: Path) -> None:
    manifest = json.loads((small_dataset / "manifest.json").read_text())
    del manifest["scores"]
    (small_dataset / "manifest.json").write_text(json.dumps(manifest))
    assert "Measured against the rules" not in _html(small_dataset)


def test_a_dataset_without_pairs_still_has_a_report(tmp_path: Path) -> None:
    (tmp_path / "manifest.json").write_text("{}")
    assert "Nothing was excluded." in _html(tmp_path)


def test_it_is_small_enough_to_send(small_dataset: Path) -> None:
    assert write_report(small_dataset).stat().st_size < 6_000_000


def test_a_folder_without_a_manifest_is_refused(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"manifest\.json is missing"):
        write_report(tmp_path)
