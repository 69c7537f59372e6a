import hashlib
import io
import json
from functools import partial
from pathlib import Path

import apache_beam as beam
import pytest
from apache_beam.runners.portability.fn_api_runner import FnApiRunner
from apache_beam.testing.util import assert_that
from PIL import Image

from pipelines.progress import Tally
from pipelines.stages.compose import Compose, fingerprint, style_of
from pipelines.stages.drawing import draw
from pipelines.stages.layout import STYLES
from pipelines.storage.workspace import Workspace
from schemas.config import Compose as ComposeConfig
from schemas.records import ROLES, Candidate, Judgement, Pair
from tests.fonts import make_font

CONFIG = ComposeConfig(width=128)


def _jpeg(color: str = "#88bbdd") -> bytes:
    buffer = io.BytesIO()
    Image.new("RGB", (80, 60), color).save(buffer, "JPEG")
    return buffer.getvalue()


def _pair(image_id: str, text: str, role: str = "emergent") -> Pair:
    id, text_id = (hashlib.sha256(part.encode()).hexdigest() for part in (f"{image_id}{text}", text))
    candidate = Candidate(id, image_id, text_id, text, "train", "scenario", 0.5)
    return Pair(Judgement(candidate, 0.1, 0.1, 0.9, 4.0, "judge"), role, "g")  # type: ignore[arg-type]


def _store(path: str, found: list[object]) -> None:
    Path(path).write_text(json.dumps(sorted(found)))  # type: ignore[type-var]


def _compose(
    pairs: list[Pair], folder: Path, config: ComposeConfig = CONFIG, processes: int = 1
) -> tuple[list[list[str]], list[list[str]], dict[str, int]]:
    workspace = Workspace(str(folder / "work"))
    pipeline = beam.Pipeline(runner=FnApiRunner())
    composed, failed = (
        pipeline | beam.Create(pairs) | Compose(config, workspace, Tally("", "compose"), processes=processes)
    )
    ids = composed | beam.Map(lambda pair: (pair.judgement.candidate.text, pair.composed_id))
    assert_that(ids, partial(_store, str(folder / "composed")), "composed")
    assert_that(failed, partial(_store, str(folder / "failed")), "failed")
    result = pipeline.run()
    result.wait_until_finish()
    counts = {counter.key.metric.name: counter.committed for counter in result.metrics().query()["counters"]}
    return *(json.loads((folder / name).read_text()) for name in ("composed", "failed")), counts  # type: ignore[return-value]


def test_every_pair_gets_a_picture_of_the_configured_width(tmp_path: Path) -> None:
    blobs = Workspace(str(tmp_path / "work")).blobs()
    image = blobs.put(_jpeg())
    composed, failed, _ = _compose([_pair(image, f"text {number}") for number in range(9)], tmp_path)
    assert failed == []
    assert [text for text, _ in composed] == [f"text {number}" for number in range(9)]
    assert all(Image.open(io.BytesIO(blobs.get(id))).width == 128 for _, id in composed)


def test_a_second_run_draws_nothing_and_gives_the_same_pictures(tmp_path: Path) -> None:
    image = Workspace(str(tmp_path / "work")).blobs().put(_jpeg())
    pairs = [_pair(image, f"text {number}") for number in range(300)]
    first, _, drawn = _compose(pairs, tmp_path)
    second, _, looked_up = _compose(pairs[::-1], tmp_path)
    assert first == second
    assert (drawn["inferred"], drawn.get("cached", 0)) == (300, 0)
    assert (looked_up.get("inferred", 0), looked_up["cached"]) == (0, 300)


def test_processes_draw_the_same_pictures_and_say_what_cannot_be_drawn(tmp_path: Path) -> None:
    pairs = []
    for folder in ("one", "two"):
        blobs = Workspace(str(tmp_path / folder / "work")).blobs()
        images = [blobs.put(_jpeg()), blobs.put(b"no image"), blobs.put(_jpeg()[:300])]
        pairs = [_pair(images[number % 3], f"text {number}") for number in range(300)]
    one, failed_one, _ = _compose(pairs, tmp_path / "one")
    two, failed_two, drawn = _compose(pairs, tmp_path / "two", processes=2)
    assert one == two
    assert failed_one == failed_two
    assert (len(two), len(failed_two), drawn["inferred"]) == (100, 200, 300)


def test_pictures_with_a_box_are_counted_and_a_font_that_has_the_character_draws_them(tmp_path: Path) -> None:
    image = Workspace(str(tmp_path / "work")).blobs().put(_jpeg())
    pairs = [_pair(image, "hello"), _pair(image, "看")]
    boxes, _, counts = _compose(pairs, tmp_path)
    again, _, counts_again = _compose(pairs, tmp_path)
    font = make_font(tmp_path / "han.ttf", "看")
    drawn, _, counts_with = _compose(pairs, tmp_path, CONFIG.model_copy(update={"fonts": (font,)}))
    assert (boxes, counts["with boxes"], counts_again["with boxes"]) == (again, 1, 1)
    assert counts_with.get("with boxes", 0) == 0
    assert [one == other for one, other in zip(boxes, drawn, strict=True)] == [True, False]


def test_a_missing_or_broken_image_fails_its_pair_alone(tmp_path: Path) -> None:
    blobs = Workspace(str(tmp_path / "work")).blobs()
    good, broken, missing = blobs.put(_jpeg()), blobs.put(b"no image"), "0" * 64
    composed, failed, counts = _compose(
        [_pair(image, image[:3]) for image in (good, broken, missing)], tmp_path
    )
    assert [text for text, _ in composed] == [good[:3]]
    assert sorted(row[4] for row in failed) == ["KeyError", "UnidentifiedImageError"]
    assert (counts["in"], counts["kept"], counts["failed"]) == (3, 1, 2)


def test_a_picture_is_the_same_bytes_every_time() -> None:
    assert draw(_jpeg(), "hello", "meme", 200) == draw(_jpeg(), "hello", "meme", 200)


def test_a_truncated_image_raises_an_os_error() -> None:
    with pytest.raises(OSError, match=r"(?i)truncated"):
        draw(_jpeg()[:-300], "hello", "meme", 200)


def test_pairs_of_one_text_share_a_style_whatever_their_role_and_image() -> None:
    assert all(
        len({style_of(_pair(role, f"text {n}", role=role), CONFIG) for role in ROLES}) == 1 for n in range(20)
    )


def test_mixed_uses_all_styles_about_equally() -> None:
    styles = [style_of(_pair("i", f"text {number}"), CONFIG) for number in range(900)]
    assert all(240 < styles.count(style) < 360 for style in STYLES)


def test_the_width_is_part_of_the_fingerprint() -> None:
    assert (
        fingerprint(CONFIG)
        != fingerprint(ComposeConfig(width=384))
        == fingerprint(ComposeConfig(style="meme"))
    )


def test_the_bytes_of_the_fonts_are_part_of_the_fingerprint_and_their_names_are_not(tmp_path: Path) -> None:
    first, copy, other = (tmp_path / name for name in ("a.ttf", "b.ttf", "c.ttf"))
    make_font(first, "看")
    make_font(other, "这")
    copy.write_bytes(first.read_bytes())
    one, two, three = (fingerprint(ComposeConfig(fonts=(str(font),))) for font in (first, copy, other))
    assert one == two != three
    assert fingerprint(ComposeConfig()) not in (one, three)
