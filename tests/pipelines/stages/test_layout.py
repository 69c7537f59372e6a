from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, features

from pipelines.stages.layout import (
    STYLES,
    Style,
    check_fonts,
    choose_face,
    drawable,
    fit,
    has_boxes,
    lay_out,
    min_size,
    scaled,
    usual_font,
    wrap,
)
from tests.fonts import make_font

BOLD, BOOK = usual_font(True), usual_font(False)


def _letters(text: str) -> str:
    return "".join(text.split())


def _picture(width: int = 120, height: int = 90) -> Image.Image:
    return Image.new("RGB", (width, height), "#88bbdd")


@pytest.mark.parametrize("style", STYLES)
@pytest.mark.parametrize(
    "text",
    [
        "",
        "hi",
        "word " * 200,
        "x" * 1000,
        "انظر كيف",
        "תראה",
        "😂👩‍👩‍👧👍🏽",
        "看看",
        "e\u0301" * 90,
        "\x00\ud800",
    ],
)
def test_any_text_is_drawn_at_the_width_and_always_equally(style: Style, text: str) -> None:
    first, second = (lay_out(_picture(), text, style, 200) for _ in range(2))
    assert first.width == 200
    assert first.tobytes() == second.tobytes()


@settings(max_examples=40, deadline=None)
@given(st.text(max_size=300), st.integers(128, 600))
def test_the_whole_text_is_in_lines_that_fit_at_a_legible_size(text: str, width: int) -> None:
    block = fit(text, width, width // 3, (width // 16, min_size(width)), bold=False)
    shown = _letters(drawable(text, block.face.file)) or "\u25a1"
    assert _letters("".join(block.lines)) == shown
    assert block.face.size >= min_size(width)


@given(st.text("abc WMil\n", max_size=200), st.integers(60, 400))
@settings(max_examples=40, deadline=None)
def test_no_line_is_wider_than_the_room(text: str, width: int) -> None:
    from PIL import ImageFont

    face = choose_face(text, bold=False)._replace(size=16)
    font = ImageFont.truetype(face.file, 16, layout_engine=ImageFont.Layout.BASIC)
    assert all(font.getlength(line) <= width + 1 for line in wrap(text, face, width))


def test_a_thousand_characters_make_the_picture_higher_instead_of_smaller_text() -> None:
    long, short = (lay_out(_picture(), text, "meme", 384) for text in ("W" * 1000, "W"))
    assert long.height > short.height + 100


def test_missing_glyphs_become_boxes_and_invisible_characters_nothing() -> None:
    assert drawable("a看\u200bb\U0001f3fd\x00", BOOK) == "a□b"


@pytest.mark.parametrize("style", STYLES)
def test_a_text_that_the_usual_font_lacks_is_drawn_with_the_one_that_has_it(
    style: Style, tmp_path: Path
) -> None:
    fonts = [make_font(tmp_path / "latin.ttf", "abc"), make_font(tmp_path / "han.ttf", "看这 ")]
    assert has_boxes("看 看 这", fonts[:1]) and not has_boxes("看 看 这", fonts)
    assert choose_face("看 看 这", style == "meme", fonts).file == fonts[1]
    assert choose_face("abc", style == "meme", fonts).file == usual_font(style == "meme")
    boxes, drawn = (lay_out(_picture(), "看 看 这", style, 200, some) for some in (fonts[:1], fonts))
    assert boxes.tobytes() != drawn.tobytes()


def test_a_box_that_the_text_has_itself_is_no_missing_glyph() -> None:
    assert not has_boxes("tick one \u25a1")
    assert has_boxes("tick one \u25a1 看")


@pytest.mark.parametrize("content", [None, b"", b"no font"])
def test_what_is_no_font_is_refused_by_name(tmp_path: Path, content: bytes | None) -> None:
    if content is not None:
        (tmp_path / "x.ttf").write_bytes(content)
    with pytest.raises(ValueError, match=r"compose\.fonts: .*x\.ttf"):
        check_fonts([str(tmp_path / "x.ttf")])


def test_emoji_that_the_font_has_are_kept() -> None:
    face = choose_face("so cute 😂", bold=True)
    assert "😂" in drawable("so cute 😂", face.file)


@pytest.mark.skipif(not features.check("raqm"), reason="this Pillow is built without Raqm")
@pytest.mark.parametrize("text", ["انظر كيف", "תראה hello"])
def test_right_to_left_text_is_shaped_and_starts_at_the_right(text: str) -> None:
    face = choose_face(text, bold=False)
    assert face.shaped
    assert face.rtl


def test_without_raqm_right_to_left_text_is_still_drawn(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(features, "check", lambda _: False)
    assert not choose_face("انظر", bold=False).shaped
    assert lay_out(_picture(), "انظر كيف", "post", 200).width == 200


@pytest.mark.parametrize(("width", "height"), [(1024, 32), (32, 1024), (1, 1), (64, 64)])
def test_a_picture_of_extreme_shape_stays_within_bounds(width: int, height: int) -> None:
    picture = scaled(_picture(width, height), 200)
    assert picture.width == 200
    assert 80 <= picture.height <= 400
