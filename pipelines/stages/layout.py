"""Picture layout: an image and a text in, one picture out in which the whole text can be read."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Literal, NamedTuple

from PIL import Image, ImageDraw, ImageFont, features

Style = Literal["meme", "post", "caption"]
STYLES: tuple[Style, ...] = ("meme", "post", "caption")
VERSION = 2
"""Raise it when the same input would be drawn differently."""
_BOX = "\u25a1"
_JOINERS = "\u200c\u200d"
_SKIN_TONES = range(0x1F3FB, 0x1F400)


class Face(NamedTuple):
    """One way to draw a text: a font file at a size in pixels, shaped by Raqm or plainly."""

    file: str
    size: int
    shaped: bool
    rtl: bool

    @property
    def direction(self) -> str | None:
        """What Pillow is told about the direction; only Raqm may be told."""
        return ("rtl" if self.rtl else "ltr") if self.shaped else None


class Block(NamedTuple):
    """A text broken into lines that fit a width."""

    lines: tuple[str, ...]
    face: Face

    @property
    def line_height(self) -> int:
        """Pixels from one baseline to the next."""
        return round(self.face.size * 1.22)

    @property
    def height(self) -> int:
        """Pixels of all lines."""
        return self.line_height * len(self.lines)


def min_size(width: int) -> int:
    """The smallest font size, in pixels, that is used at a picture width: 14 at 384, never under 12."""
    return max(12, round(width * 14 / 384))


def check_fonts(files: Sequence[str]) -> None:
    """Open every font file as drawing would.

    Raises:
        ValueError: One is not there, or no font.
    """
    from fontTools.ttLib import TTLibError  # type: ignore[import-untyped]

    for file in files:
        try:
            ImageFont.truetype(file, 12)
            _glyphs(file)
        except (OSError, TTLibError) as error:
            raise ValueError(f"compose.fonts: {file} is not there, or no font file: {error}") from error


def usual_font(bold: bool) -> str:
    """The path of DejaVu Sans, which matplotlib brings along."""
    import matplotlib

    name = "DejaVuSans-Bold.ttf" if bold else "DejaVuSans.ttf"
    return str(Path(matplotlib.get_data_path()) / "fonts" / "ttf" / name)


@lru_cache(maxsize=16)
def _glyphs(file: str) -> frozenset[int]:
    from fontTools.ttLib import TTFont

    with TTFont(file, lazy=True, fontNumber=0) as font:
        return frozenset(font.getBestCmap() or ())


@lru_cache(maxsize=256)
def _font(face: Face) -> ImageFont.FreeTypeFont:
    engine = ImageFont.Layout.RAQM if face.shaped else ImageFont.Layout.BASIC
    return ImageFont.truetype(face.file, face.size, layout_engine=engine)


@lru_cache(maxsize=1 << 16)
def _width(face: Face, word: str) -> float:
    return _font(face).getlength(word, direction=face.direction)


def choose_face(text: str, bold: bool, fonts: Sequence[str] = ()) -> Face:
    """The face, still without a size, that can draw the most of a text's characters; of equals the first.

    Args:
        text: What is to be drawn.
        bold: Whether bold is preferred; only the usual font has it.
        fonts: Paths of font files to try after the usual one.
    """
    files = [*([usual_font(True)] if bold else []), usual_font(False), *fonts]
    file = min(files, key=lambda file: drawable(text, file).count(_BOX))
    shaped = bool(features.check("raqm")) and any(_needs_shaping(char) for char in text)
    strong = (unicodedata.bidirectional(char) for char in text)
    first = next((kind for kind in strong if kind in ("L", "R", "AL")), "L")
    return Face(file, 0, shaped, first != "L")


def has_boxes(text: str, fonts: Sequence[str] = ()) -> bool:
    """Whether a text has a character that will be a box, since the font that has the most lacks it."""
    return _BOX in drawable(text.replace(_BOX, ""), choose_face(text, False, fonts).file)


def _needs_shaping(char: str) -> bool:
    return char > "\u02ff" and (
        unicodedata.bidirectional(char) in ("R", "AL", "AN")
        or unicodedata.category(char) in ("Mn", "Mc", "Me")
    )


def drawable(text: str, file: str) -> str:
    """The text with only what a font can draw: a box for a missing glyph, nothing for invisible ones."""
    return "".join(_drawn(char, _glyphs(file)) for char in text)


def _drawn(char: str, glyphs: frozenset[int]) -> str:
    if char.isspace():
        return "\n" if char in "\n\u2028\u2029" else " "
    category = unicodedata.category(char)
    if category in ("Cc", "Cf") and char not in _JOINERS:
        return ""
    if ord(char) in glyphs:
        return char
    invisible = category in ("Mn", "Mc", "Me", "Cc", "Cf") or ord(char) in _SKIN_TONES
    return "" if invisible else _BOX


def wrap(text: str, face: Face, width: int) -> list[str]:
    """Break a text into lines by measured width; a word wider than a line is broken, line breaks stay."""
    lines: list[str] = []
    space = _width(face, " ")
    for paragraph in text.split("\n"):
        line, length = "", 0.0
        for word in _words(paragraph, face, width):
            extent = _width(face, word)
            if line and length + space + extent > width:
                lines.append(line)
                line, length = word, extent
            else:
                line, length = (f"{line} {word}", length + space + extent) if line else (word, extent)
        if line:
            lines.append(line)
    return lines


def _words(paragraph: str, face: Face, width: int) -> Iterator[str]:
    for word in paragraph.split():
        yield from _pieces(word, face, width)


def _pieces(word: str, face: Face, width: int) -> Iterator[str]:
    if _width(face, word) <= width:
        yield word
        return
    piece, length = "", 0.0
    for cluster in re.findall(r".[\u0300-\u036f\u064b-\u065f\u200c\u200d]*", word, re.DOTALL):
        extent = _width(face, cluster)
        if piece and length + extent > width:
            yield piece
            piece, length = "", 0.0
        piece, length = piece + cluster, length + extent
    yield piece


def fit(
    text: str,
    width: int,
    height: int,
    sizes: tuple[int, int],
    *,
    bold: bool,
    fonts: Sequence[str] = (),
) -> Block:
    """The text at the largest size, of (from, down to), that fits; at the smallest it may be higher."""
    smallest = sizes[1]
    face = choose_face(text, bold, fonts)
    text = drawable(text, face.file).strip() or _BOX
    size = max(sizes)
    while True:
        sized = face._replace(size=size)
        block = Block(tuple(wrap(text, sized, width)), sized)
        if block.height <= height or size <= smallest:
            return block
        guess = int(size * max(0.85, (height / block.height) ** 0.5))
        size = max(smallest, min(size - 1, guess))


def _draw(
    draw: ImageDraw.ImageDraw,
    block: Block,
    box: tuple[int, int, int],
    ink: str,
    align: str,
    *,
    outline: int = 0,
) -> None:
    """Draw a block into (left, top, right)."""
    left, top, right = box
    font, direction = _font(block.face), block.face.direction
    edge = {"left": "right" if block.face.rtl else "left"}.get(align, align)
    x = {"left": left, "right": right, "center": (left + right) / 2}[edge]
    anchor = {"left": "lm", "right": "rm", "center": "mm"}[edge]
    for number, line in enumerate(block.lines):
        y = top + (number + 0.5) * block.line_height
        draw.text(
            (x, y), line, ink, font, anchor, direction=direction, stroke_width=outline, stroke_fill="black"
        )


def scaled(image: Image.Image, width: int) -> Image.Image:
    """The image at a width; one much taller or flatter than usual is set on grey, 0.4 to 2 widths high."""
    image = image.convert("RGB")
    height = max(1, round(image.height * width / image.width))
    if width * 0.4 <= height <= width * 2:
        return image.resize((width, height), Image.Resampling.BICUBIC)
    if height < width:
        resized, height = image.resize((width, height), Image.Resampling.BICUBIC), round(width * 0.4)
    else:
        height = width * 2
        resized = image.resize(
            (max(1, round(image.width * height / image.height)), height), Image.Resampling.BICUBIC
        )
    canvas = Image.new("RGB", (width, height), "#303030")
    canvas.paste(resized, ((width - resized.width) // 2, (height - resized.height) // 2))
    return canvas


def meme(image: Image.Image, text: str, width: int, fonts: Sequence[str] = ()) -> Image.Image:
    """White text outlined in black over the top and bottom of the image; black bands take the rest."""
    picture, margin = scaled(image, width), width // 32
    room = picture.height * 2 // 5
    block = fit(text, width - 2 * margin, room, (width // 11, min_size(width)), bold=True, fonts=fonts)
    half = (len(block.lines) + 1) // 2
    top, bottom = (block._replace(lines=lines) for lines in (block.lines[:half], block.lines[half:]))
    above, below = (max(0, part.height + margin - room // 2 - block.line_height) for part in (top, bottom))
    canvas = Image.new("RGB", (width, picture.height + above + below), "black")
    canvas.paste(picture, (0, above))
    draw, outline = ImageDraw.Draw(canvas), max(1, round(block.face.size / 13))
    _draw(draw, top, (margin, margin, width - margin), "white", "center", outline=outline)
    _draw(
        draw,
        bottom,
        (margin, canvas.height - margin - bottom.height, width - margin),
        "white",
        "center",
        outline=outline,
    )
    return canvas


def caption(image: Image.Image, text: str, width: int, fonts: Sequence[str] = ()) -> Image.Image:
    """Black text on a white band under the image."""
    picture, margin = scaled(image, width), width // 24
    block = fit(text, width - 2 * margin, width // 3, (width // 16, min_size(width)), bold=False, fonts=fonts)
    canvas = Image.new("RGB", (width, picture.height + block.height + 2 * margin), "white")
    canvas.paste(picture, (0, 0))
    _draw(ImageDraw.Draw(canvas), block, (margin, picture.height + margin, width - margin), "black", "center")
    return canvas


def post(image: Image.Image, text: str, width: int, fonts: Sequence[str] = ()) -> Image.Image:
    """A card like a post: a nameless author, the text, the image under it, three grey buttons."""
    margin = width // 24
    picture = scaled(image, width - 2 * margin)
    block = fit(text, width - 2 * margin, width // 3, (width // 18, min_size(width)), bold=False, fonts=fonts)
    head, foot = width // 8 + margin, width // 14
    size = (width, head + block.height + 2 * margin + picture.height + foot + margin)
    canvas = Image.new("RGB", size, "white")
    draw = ImageDraw.Draw(canvas)
    _author(draw, margin, width // 8)
    _draw(draw, block, (margin, head + margin // 2, width - margin), "#0f1419", "left")
    top = head + block.height + 3 * margin // 2
    canvas.paste(picture, (margin, top))
    _buttons(draw, width, top + picture.height + margin // 2 + foot // 2, foot)
    draw.rectangle((0, 0, width - 1, canvas.height - 1), outline="#cfd9de")
    return canvas


def _author(draw: ImageDraw.ImageDraw, margin: int, side: int) -> None:
    draw.ellipse((margin, margin, margin + side, margin + side), fill="#aab8c2")
    left, bar = margin + side + margin // 2, side // 5
    for top, length, ink in ((margin + bar, 3 * side, "#657786"), (margin + 3 * bar, 2 * side, "#ccd6dd")):
        draw.rounded_rectangle((left, top, left + length, top + bar), bar // 2, fill=ink)


def _buttons(draw: ImageDraw.ImageDraw, width: int, middle: int, side: int) -> None:
    radius = side // 3
    for centre in (width // 5, width // 2, width * 4 // 5):
        draw.ellipse(
            (centre - radius, middle - radius, centre + radius, middle + radius), outline="#8899a6", width=2
        )


_DRAWERS = {"meme": meme, "post": post, "caption": caption}


def lay_out(
    image: Image.Image, text: str, style: Style, width: int, fonts: Sequence[str] = ()
) -> Image.Image:
    """One picture, `width` pixels wide, with the image and the whole text; equal inputs, equal pixels.

    Args:
        image: In any mode and of any size.
        text: In any script; a character that no font has becomes a box.
        style: What goes where.
        width: In pixels.
        fonts: Paths of font files for texts that DejaVu Sans cannot draw.
    """
    return _DRAWERS[style](image, text, width, fonts)
