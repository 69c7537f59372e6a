import importlib.util
import io
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import apache_beam as beam
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from PIL import Image

from generators.corpora import open_images, open_texts, printable
from pipelines.models.faces import blur_faces, find_faces
from pipelines.processes import FEW
from pipelines.progress import Tally, read_progress
from pipelines.stages.decoding import pdq, store_image
from pipelines.stages.ingest import IngestImages, IngestTexts, fingerprint
from pipelines.stages.sources import ReadRows
from pipelines.storage.workspace import Workspace
from schemas.config import Ingest
from schemas.records import NOT_SEARCHED, Excluded, Failed, ImageAsset, Provenance, RawAsset
from tests.portrait import drawn_face

ROOT = Path(__file__).parents[3]
PORTRAIT = ROOT.parent / "shared/data/photos/1107471216_4336c9b328.jpg"
INGEST_ALL = """
import sys
from pathlib import Path
from generators.corpora import TooLarge, open_images
from generators.decode import Unusable
from pipelines.stages.decoding import store_image
from pipelines.storage.blobs import BlobStore
from schemas.config import Ingest
from schemas.records import RawAsset
from PIL import Image, ImageCms

def peak():
    # Not getrusage: a process inherits the ru_maxrss of the one that started it.
    status = Path("/proc/self/status").read_text()
    return int(status.partition("VmHWM:")[2].split()[0]) / 1024

base = peak()
source, caps, blobs = open_images(sys.argv[1]), Ingest(), BlobStore(Path(sys.argv[1]).parent / "blobs")
for row in source.rows():
    if isinstance(row, RawAsset):
        try:
            store_image(source.read(row.locator, caps.max_bytes), caps, blobs)
        except (Unusable, TooLarge):
            pass
print(peak() - base)
"""
_collected: list[Any] = []


def _hostile() -> ModuleType:
    spec = importlib.util.spec_from_file_location("hostile", ROOT / "tests" / "hostile.py")
    assert spec and spec.loader
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def _collect(row: Any) -> None:
    _collected.append(row)


def _run(
    images: str = "",
    texts: str = "",
    work: str = "",
    run: str = "",
    limit: int = 1_000,
    *,
    processes: int = 1,
) -> list[Any]:
    """All rows that come out of ingest, whatever their output."""
    caps, tally = Ingest(), Tally(run, "ingest")
    _collected.clear()
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        source: Any = open_images(images) if images else open_texts(texts)
        raw = pipeline | "Read" >> ReadRows(source, limit, tally)
        step = (
            IngestImages(caps, source, workspace=Workspace(work), tally=tally, processes=processes)
            if images
            else IngestTexts(caps, tally=tally)
        )
        out = raw["kept"] | "Ingest" >> step
        rows = [raw["excluded"], raw["failed"], out["kept"], out["excluded"], out["failed"]]
        _ = rows | beam.Flatten() | beam.Map(_collect)
    tally.flush()
    return list(_collected)


def _outcome(row: Any) -> str:
    return row.reason if isinstance(row, Excluded) else row.error if isinstance(row, Failed) else ""


def _number(row: Any) -> int:
    name = row.name if isinstance(row, Excluded | Failed) else row.provenance.name
    return int(name.split()[1])


def _outcomes(rows: list[Any]) -> list[str]:
    assert sorted(map(_number, rows)) == list(range(1, len(rows) + 1))
    return [_outcome(row) for row in sorted(rows, key=_number)]


@pytest.fixture(scope="module")
def hostile_run(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, str], list[Any], Workspace]:
    folder, work = tmp_path_factory.mktemp("h") / "images", str(tmp_path_factory.mktemp("work"))
    expected = _hostile().hostile_folder(folder)
    return expected, _run(str(folder), work=work), Workspace(work)


def test_processes_make_the_same_rows_of_hostile_files(hostile_run: Any, tmp_path: Path) -> None:
    expected, rows, workspace = hostile_run
    folder = tmp_path / "images"
    _hostile().hostile_folder(folder)
    assert len(expected) > FEW
    again = _run(str(folder), work=str(tmp_path / "work"), processes=2)
    assert sorted(map(repr, again)) == sorted(map(repr, rows))
    assert str(tmp_path) not in repr(again)
    blobs = Workspace(str(tmp_path / "work")).blobs()
    kept = [row.id for row in again if isinstance(row, ImageAsset)]
    assert all(blobs.get(id) == workspace.blobs().get(id) for id in kept)


def test_an_image_that_is_only_an_address_is_excluded(tmp_path: Path) -> None:
    rows = [{"image": {"bytes": None, "path": f"http://127.0.0.1:1/{number}.png"}} for number in range(3)]
    (tmp_path / "d").mkdir()
    pq.write_table(pa.Table.from_pylist(rows), tmp_path / "d" / "train.parquet")
    found = _run(f"hf:{tmp_path / 'd'}", work=str(tmp_path / "work"))
    assert [(type(row), _outcome(row)) for row in found] == [(Excluded, "not_embedded")] * 3


def test_each_of_over_sixty_hostile_files_ends_in_one_row_with_the_right_reason(hostile_run: Any) -> None:
    expected, rows, _ = hostile_run
    found: dict[str, str] = {}
    for row in rows:
        name = row.name if isinstance(row, Excluded | Failed) else row.provenance.name
        assert name not in found
        found[name] = _outcome(row)
    damage = {"truncated", "damaged"}
    wanted = {printable(name): reason for name, reason in expected.items()}
    assert len(wanted) >= 60
    assert {name: "cut" if reason in damage else reason for name, reason in found.items()} == wanted


def test_stored_images_are_plain_upright_jpegs_without_metadata(hostile_run: Any) -> None:
    _, rows, workspace = hostile_run
    kept = [row for row in rows if not _outcome(row)]
    for asset in kept:
        with Image.open(io.BytesIO(workspace.blobs().get(asset.id))) as image:
            assert (image.format, image.mode, image.size) == ("JPEG", "RGB", (asset.width, asset.height))
            assert set(image.info) == {"jfif", "jfif_version", "jfif_unit", "jfif_density"}
        assert len(asset.pdq) == 64


def test_dropped_rows_have_ids_of_their_own(hostile_run: Any) -> None:
    ids = [row.id for row in hostile_run[1] if _outcome(row)]
    assert len(set(ids)) == len(ids) and all(len(id) == 64 for id in ids)


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="peak memory is read from /proc")
def test_peak_memory_over_the_hostile_folder_stays_under_1_gb(tmp_path: Path) -> None:
    hostile = _hostile()
    hostile.hostile_folder(tmp_path / "images")
    # The largest that the caps allow, in the formats whose decoders hold most.
    (tmp_path / "images" / "largest.png").write_bytes(hostile.png_bomb(6_300))
    large = Image.new("RGB", (6300, 6300), (9, 99, 200))
    for kind, options in (
        ("JPEG", {"progressive": True}),
        ("WEBP", {"method": 0}),
        ("TIFF", {"compression": "tiff_lzw"}),
    ):
        (tmp_path / "images" / f"largest.{kind.lower()}").write_bytes(hostile.encoded(large, kind, **options))
    command = [sys.executable, "-c", INGEST_ALL, str(tmp_path / "images")]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    peak = float(done.stdout)
    assert 100 < peak < 1024, f"{peak} MB above the base"


@pytest.mark.parametrize("kind", ["lines.txt", "rows.csv", "lines.jsonl"])
def test_each_hostile_text_ends_in_one_row_with_the_right_reason(tmp_path: Path, kind: str) -> None:
    hostile = _hostile()
    make = {".txt": hostile.hostile_lines, ".csv": hostile.hostile_csv, ".jsonl": hostile.hostile_jsonl}
    expected = make[Path(kind).suffix](tmp_path / kind)
    assert _outcomes(_run(texts=str(tmp_path / kind))) == expected


def _folder(tmp_path: Path, count: int = 5) -> Path:
    folder = tmp_path / "images"
    folder.mkdir()
    hostile = _hostile()
    for number in range(count):
        (folder / f"{number}.png").write_bytes(hostile.encoded(hostile.picture(side=64 + number), "PNG"))
    (folder / "broken.png").write_bytes(b"no image")
    return folder


def test_a_second_run_decodes_nothing_and_gives_the_same_rows(tmp_path: Path) -> None:
    folder, runs = str(_folder(tmp_path)), [str(tmp_path / "one"), str(tmp_path / "two")]
    first, second = (_run(folder, work=str(tmp_path / "work"), run=run) for run in runs)
    assert sorted(map(repr, first)) == sorted(map(repr, second))
    assert read_progress(runs[0])["ingest"]["inferred"] == 6
    assert (
        read_progress(runs[1])["ingest"]["cached"] == 6 and "inferred" not in read_progress(runs[1])["ingest"]
    )


def test_a_changed_file_or_a_lost_blob_is_decoded_again(tmp_path: Path) -> None:
    folder, work = _folder(tmp_path), tmp_path / "work"
    first = {row.provenance.name: row for row in _run(str(folder), work=str(work)) if not _outcome(row)}
    Workspace(str(work)).blobs().path(first["0.png"].id).unlink()
    os.utime(folder / "1.png", ns=(1, 1))
    _run(str(folder), work=str(work), run=str(tmp_path / "two"))
    assert read_progress(tmp_path / "two")["ingest"]["inferred"] == 2


def test_the_counts_of_the_tally_add_up(tmp_path: Path) -> None:
    _hostile().hostile_folder(tmp_path / "images", big=False)
    rows = _run(str(tmp_path / "images"), work=str(tmp_path / "work"), run=str(tmp_path / "run"))
    counts = read_progress(tmp_path / "run")["ingest"]
    assert counts["in"] == counts["expected"] == len(rows)
    assert counts["in"] == counts["kept"] + counts["excluded"] + counts["failed"]


def test_the_fingerprint_changes_with_the_caps() -> None:
    prints = {fingerprint(caps) for caps in (Ingest(), Ingest(quality=90), Ingest(max_side=512))}
    assert len(prints) == 3


def test_pdq_is_near_for_a_scaled_copy_and_far_for_another_picture() -> None:
    hostile = _hostile()
    image, other = hostile.picture(side=600), hostile.picture(side=601)
    near, far = (int(pdq(image), 16) ^ int(pdq(i), 16) for i in (image.resize((300, 300)), other))
    assert near.bit_count() <= 31 < far.bit_count()


class _Portraits:
    """A drawn face that the cascade finds: as somebody's photograph on its side, and as a generator's picture."""

    def rows(self) -> Iterator[RawAsset]:
        for origin in ("retrieved", "generated"):
            yield RawAsset(origin, Provenance("portraits", origin, origin))

    def read(self, locator: str, max_bytes: int) -> bytes:
        exif = Image.Exif()
        exif[0x0112] = 6
        out = io.BytesIO()
        upright = drawn_face().crop((20, 0, 220, 240))
        upright.transpose(Image.Transpose.ROTATE_90).save(out, "PNG", exif=exif)
        return out.getvalue()

    def identity(self, locator: str) -> str:
        return locator


def _portraits(work: Path, run: Path, blur: bool) -> dict[str, ImageAsset]:
    tally = Tally(str(run), "ingest")
    _collected.clear()
    with beam.Pipeline(runner=FnApiRunner()) as pipeline:
        ingest = IngestImages(
            Ingest(blur_faces=blur), _Portraits(), workspace=Workspace(str(work)), tally=tally
        )
        rows = pipeline | beam.Create(list(_Portraits().rows())) | ingest
        _ = list(rows.values()) | beam.Flatten() | beam.Map(_collect)
    tally.flush()
    return {row.provenance.origin: row for row in _collected}


def _stored(work: Path, asset: ImageAsset) -> Image.Image:
    with Image.open(io.BytesIO(Workspace(str(work)).blobs().get(asset.id))) as image:
        return image.convert("RGB")


def test_faces_of_retrieved_images_are_blurred_before_anything_is_stored(tmp_path: Path) -> None:
    made = _portraits(tmp_path / "work", tmp_path / "run", blur=True)
    assert (made["retrieved"].faces_blurred, made["generated"].faces_blurred) == (1, NOT_SEARCHED)
    assert find_faces(_stored(tmp_path / "work", made["retrieved"])) == []
    plain = drawn_face().crop((20, 0, 220, 240))
    assert made["retrieved"].pdq == pdq(blur_faces(plain)[0]) != pdq(plain) == made["generated"].pdq
    assert len(find_faces(_stored(tmp_path / "work", made["generated"]))) == 1
    stored = [path for path in (tmp_path / "work" / "blobs").rglob("*") if path.is_file()]
    assert len(stored) == 2
    assert read_progress(tmp_path / "run")["ingest"]["faces_blurred"] == 1


def test_a_blurred_photograph_stays_upright(tmp_path: Path) -> None:
    made = _portraits(tmp_path / "work", tmp_path / "run", blur=True)
    assert {(asset.width, asset.height) for asset in made.values()} == {(200, 240)}
    assert made["retrieved"].faces_blurred == 1


def test_another_setting_reuses_nothing_and_the_same_one_everything(tmp_path: Path) -> None:
    work, counts = tmp_path / "work", []
    for number, blur in enumerate((False, True, True, False)):
        made = _portraits(work, tmp_path / str(number), blur)
        counts.append(read_progress(tmp_path / str(number))["ingest"])
        assert made["retrieved"].faces_blurred == (1 if blur else NOT_SEARCHED)
    assert [count.get("inferred", 0) for count in counts] == [2, 2, 0, 0]
    assert [count.get("faces_blurred", 0) for count in counts] == [0, 1, 1, 0]


def test_the_version_of_opencv_counts_only_where_faces_are_blurred(monkeypatch: pytest.MonkeyPatch) -> None:
    before = [fingerprint(Ingest(blur_faces=blur)) for blur in (False, True)]
    monkeypatch.setattr("cv2.__version__", "0.1")
    after = [fingerprint(Ingest(blur_faces=blur)) for blur in (False, True)]
    assert before[0] == after[0] and before[1] != after[1]


@pytest.mark.skipif(not PORTRAIT.is_file(), reason="the photographs are not beside this checkout")
def test_a_face_in_a_real_photograph_is_blurred(tmp_path: Path) -> None:
    plain, blurred = (
        store_image(PORTRAIT.read_bytes(), Ingest(blur_faces=blur), Workspace(str(tmp_path)).blobs())
        for blur in (False, True)
    )
    assert (plain.faces_blurred, blurred.faces_blurred) == (NOT_SEARCHED, 1)
    assert (plain.width, plain.height) == (blurred.width, blurred.height)
    assert plain.id != blurred.id


@pytest.mark.skipif(not (ROOT.parent / "shared/data/photos").is_dir(), reason="the photographs are not here")
def test_real_photographs_are_all_kept(tmp_path: Path) -> None:
    photos = str(ROOT.parent / "shared/data/photos")
    assert [_outcome(row) for row in _run(photos, work=str(tmp_path / "work"), limit=20)] == [""] * 20
