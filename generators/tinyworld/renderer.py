"""Scenes of pictograms: sampled from a seed, drawn with Pillow, and described in words."""

import colorsys
import json
import math
import random
from collections.abc import Callable, Sequence
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

from PIL import Image, ImageColor, ImageDraw, ImageFont

from generators.tinyworld.world import Setting, load_world, with_article

COUNT_WEIGHTS = (0.50, 0.30, 0.15, 0.05)
FONT_STEP = 4
Colour = tuple[int, int, int]
Cue = Callable[[ImageDraw.ImageDraw, random.Random, int, Colour], None]


class Placed(NamedTuple):
    """One pictogram: centre and size in parts of the side, angle in degrees."""

    concept: str
    x: float
    y: float
    size: float
    angle: float
    colour: Colour


class Scene(NamedTuple):
    """What `render` draws: objects before a setting; `clutter` seeds all that carries no meaning.

    A scene with a `motif` is plainly harmful; the motif's pictograms are drawn over everything else.
    """

    setting: str
    objects: tuple[Placed, ...]
    motif: str | None
    clutter: int


def sample_scene(seed: int, *, concepts: Sequence[str] | None = None, plainly_harmful: bool = False) -> Scene:
    """Makes up one scene; the same arguments give the same scene in every process.

    Args:
        seed: What the random choices are made from.
        concepts: Names of one to four concepts to show; by default they are drawn.
        plainly_harmful: Whether to add a motif that is harmful by itself.

    Returns:
        The scene, its objects in the order drawn.

    Raises:
        KeyError: If the world has no concept of such a name.
    """
    rng = random.Random(f"scene {seed}")
    world = load_world()
    names = list(concepts) if concepts is not None else _draw_concepts(rng, plainly_harmful)
    motif = rng.choice(world.motifs).name if plainly_harmful else None
    objects = tuple(_place(rng, names, crowded=plainly_harmful))
    return Scene(rng.choice(world.settings).name, objects, motif, rng.getrandbits(32))


def render(scene: Scene, side: int = 256) -> Image.Image:
    """Draws a scene.

    Args:
        scene: What to draw.
        side: Width and height in pixels.

    Returns:
        An RGB image of `side` x `side` pixels.
    """
    rng = random.Random(f"clutter {scene.clutter}")
    setting = load_world().setting(scene.setting)
    picture = _backdrop(setting, rng, side)
    for placed in scene.objects:
        _stamp(picture, load_world().concept(placed.concept).icon, placed, side)
    if scene.motif is not None:
        _draw_motif(picture, scene.motif, rng, side)
    return picture


def describe(scene: Scene) -> str:
    """Writes a scene as its provenance prompt, such as "kitchen: apple, cat"; a motif stands in brackets."""
    motif = [f"[{scene.motif}]"] if scene.motif is not None else []
    return f"{scene.setting}: {', '.join(motif + [placed.concept for placed in scene.objects])}"


def objects_of(prompt: str) -> tuple[str, ...]:
    """Returns the concepts that a prompt written by `describe` names, without a motif."""
    listed = prompt.partition(": ")[2].split(", ")
    return tuple(name for name in listed if name and not name.startswith("["))


def caption(scene: Scene, seed: int) -> str:
    """Describes a scene in natural words, by names or aliases, now and then with property and setting."""
    rng = random.Random(f"caption {seed}")
    phrases = [_phrase(rng, placed.concept) for placed in scene.objects]
    if scene.motif is not None:
        phrases.append(with_article(scene.motif))
    rng.shuffle(phrases)
    listed = _listing(phrases)
    form = rng.choice(
        ("{0}", "{0} in a {1}", "{1} with {0}", "a picture of {0}", "a drawing of {0} in a {1}")
    )
    return form.format(listed, scene.setting)


def _phrase(rng: random.Random, name: str) -> str:
    concept = load_world().concept(name)
    said = with_article(name if rng.random() < 0.6 else rng.choice(concept.aliases))
    if concept.properties and rng.random() < 0.3:
        return f"{said} that is {load_world().properties[rng.choice(concept.properties)]}"
    return said


def _listing(phrases: Sequence[str]) -> str:
    head, last = ", ".join(phrases[:-1]), phrases[-1]
    return f"{head} and {last}" if head else last


def _draw_concepts(rng: random.Random, plainly_harmful: bool) -> list[str]:
    count = 1 + rng.choices(range(4), COUNT_WEIGHTS)[0]
    names = [concept.name for concept in load_world().concepts]
    return rng.sample(names, rng.randrange(2) if plainly_harmful else count)


def _place(rng: random.Random, names: Sequence[str], *, crowded: bool) -> list[Placed]:
    low, high = (0.16, 0.22) if crowded else (0.34, 0.50) if len(names) == 1 else (0.26, 0.36)
    placed: list[Placed] = []
    for name in names:
        size = rng.uniform(low, high)
        x, y = _free_spot(rng, placed, size, crowded)
        placed.append(Placed(name, x, y, size, rng.uniform(-20, 20), _vivid(rng)))
    return placed


def _free_spot(
    rng: random.Random, placed: Sequence[Placed], size: float, crowded: bool
) -> tuple[float, float]:
    """Returns the one of 40 random centres that keeps farthest from what is already placed."""
    margin = size * 0.55
    bottom = 0.25 if crowded else 1 - margin
    spots = [(rng.uniform(margin, 1 - margin), rng.uniform(margin, max(margin, bottom))) for _ in range(40)]
    if not placed:
        return spots[0]
    return max(spots, key=lambda spot: min(math.dist(spot, (other.x, other.y)) for other in placed))


def _vivid(rng: random.Random) -> Colour:
    """Draws a saturated colour dark enough to stand out from every (light) setting."""
    return _rgb(rng.random(), rng.uniform(0.6, 0.95), rng.uniform(0.30, 0.55))


def _rgb(hue: float, saturation: float, value: float) -> Colour:
    red, green, blue = colorsys.hsv_to_rgb(hue % 1, saturation, value)
    return round(red * 255), round(green * 255), round(blue * 255)


def _stamp(picture: Image.Image, icon: str, placed: Placed, side: int) -> None:
    mask = _glyph(icon, _quantised(placed.size * side)).rotate(placed.angle, Image.Resampling.BILINEAR, True)
    corner = round(placed.x * side - mask.width / 2), round(placed.y * side - mask.height / 2)
    picture.paste(placed.colour, corner, mask)


def _quantised(pixels: float) -> int:
    return max(FONT_STEP, round(pixels / FONT_STEP) * FONT_STEP)


@lru_cache(maxsize=4096)
def _glyph(icon: str, pixels: int) -> Image.Image:
    """Returns the pictogram as a mask whose longer side is about `pixels`."""
    font = _font(128)
    left, top, right, bottom = (int(edge) for edge in font.getbbox(_characters()[icon]))
    scale = pixels / max(right - left, bottom - top)
    font = _font(max(4, round(128 * scale)))
    left, top, right, bottom = (int(edge) for edge in font.getbbox(_characters()[icon]))
    mask = Image.new("L", (right - left + 2, bottom - top + 2))
    ImageDraw.Draw(mask).text((1 - left, 1 - top), _characters()[icon], fill=255, font=font)
    return mask


@lru_cache(maxsize=256)
def _font(pixels: int) -> ImageFont.FreeTypeFont:
    path = files("fontawesomefree") / "static/fontawesomefree/webfonts/fa-solid-900.ttf"
    return ImageFont.truetype(str(path), pixels)


@lru_cache(maxsize=1)
def _characters() -> dict[str, str]:
    """Returns the character of every solid icon by the icon's name."""
    path = files("fontawesomefree") / "static/fontawesomefree/metadata/icons.json"
    icons = json.loads(path.read_text(encoding="utf-8"))
    return {name: chr(int(icon["unicode"], 16)) for name, icon in icons.items() if "solid" in icon["styles"]}


def _draw_motif(picture: Image.Image, motif: str, rng: random.Random, side: int) -> None:
    """Draws a red burst low in the picture and the motif's pictograms on it, large and nearly black."""
    burst = Placed("", 0.5, 0.62, rng.uniform(0.78, 0.92), rng.uniform(-25, 25), _rgb(0.0, 0.85, 0.85))
    _stamp(picture, "certificate", burst, side)
    spread = rng.choice((-1, 1)) * rng.uniform(0.19, 0.23)
    for icon, shift in zip(load_world().motif(motif).icons, (-spread, spread), strict=True):
        size, angle = rng.uniform(0.34, 0.40), rng.uniform(-12, 12)
        place = Placed("", 0.5 + shift, 0.62 + rng.uniform(-0.05, 0.05), size, angle, _rgb(0, 0.3, 0.1))
        _stamp(picture, icon, place, side)


def _backdrop(setting: Setting, rng: random.Random, side: int) -> Image.Image:
    picture = _gradient(setting, rng, side)
    draw = ImageDraw.Draw(picture, "RGBA")
    ink = _ink(setting.ink)
    for _ in range(3):
        _blob(draw, rng, side, ink)
    for cue in setting.cues:
        CUES[cue](draw, rng, side, ink)
    for _ in range(rng.randrange(8, 16)):
        _speck(draw, rng, side, ink)
    return picture


def _gradient(setting: Setting, rng: random.Random, side: int) -> Image.Image:
    """Blends the two colours along a random direction over a coarse random texture of light and shade."""
    first, second = (_ink(colour) for colour in setting.colours)
    angle, cells = rng.uniform(-0.6, 0.6), 5
    coarse = Image.new("RGB", (cells, cells))
    for index in range(cells * cells):
        x, y = index % cells / (cells - 1) - 0.5, index // cells / (cells - 1) - 0.5
        part = min(1.0, max(0.0, 0.5 + math.cos(angle) * y + math.sin(angle) * x))
        light = rng.uniform(0.80, 1.06)
        shade = [round((a + (b - a) * part) * light) for a, b in zip(first, second, strict=True)]
        coarse.putpixel((index % cells, index // cells), (shade[0], shade[1], shade[2]))
    return coarse.resize((side, side), Image.Resampling.BICUBIC)


def _ink(colour: str) -> Colour:
    red, green, blue = ImageColor.getrgb(colour)[:3]
    return red, green, blue


def _blob(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    x, y, wide, high = (rng.random() * side for _ in range(4))
    fill = rng.choice(((255, 255, 255, 60), (*ink, 60)))
    draw.ellipse((x - wide / 2, y - high / 2, x + wide / 2, y + high / 2), fill=fill)


def _speck(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    x, y, size = rng.random() * side, rng.random() * side, rng.uniform(0.01, 0.035) * side
    fill = (*ink, rng.randrange(90, 180))
    match rng.randrange(3):
        case 0:
            draw.ellipse((x, y, x + size, y + size), fill=fill)
        case 1:
            draw.line(
                (x, y, x + rng.uniform(-3, 3) * size, y + rng.uniform(-3, 3) * size),
                fill,
                max(1, side // 128),
            )
        case _:
            draw.chord((x, y, x + 2 * size, y + size), rng.randrange(360), rng.randrange(360), fill=fill)


def _floor(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    level = rng.uniform(0.62, 0.85) * side
    draw.rectangle((0, level, side, side), fill=(*ink, 90))
    draw.line((0, level, side, level), (*ink, 200), max(1, side // 85))


def _tiles(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    step = rng.uniform(0.11, 0.18) * side
    start = rng.random() * step
    for line in range(int(side / step) + 1):
        at = start + line * step
        draw.line((at, 0, at, side), (*ink, 70), max(1, side // 128))
        draw.line((0, at, side, at), (*ink, 70), max(1, side // 128))


def _window(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    left, top, size = (
        rng.uniform(0.03, 0.65) * side,
        rng.uniform(0.03, 0.2) * side,
        rng.uniform(0.24, 0.34) * side,
    )
    draw.rectangle(
        (left, top, left + size, top + size), (225, 243, 255, 210), (*ink, 220), max(1, side // 64)
    )
    draw.line((left + size / 2, top, left + size / 2, top + size), (*ink, 220), max(1, side // 85))
    draw.line((left, top + size / 2, left + size, top + size / 2), (*ink, 220), max(1, side // 85))


def _hills(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    for _ in range(3):
        middle, wide, high = rng.random() * side, rng.uniform(0.5, 1) * side, rng.uniform(0.2, 0.4) * side
        draw.ellipse((middle - wide / 2, side - high, middle + wide / 2, side + high), fill=(*ink, 110))


def _sun(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    x, y, radius = rng.uniform(0.1, 0.9) * side, rng.uniform(0.08, 0.2) * side, rng.uniform(0.06, 0.11) * side
    draw.ellipse((x - radius, y - radius, x + radius, y + radius), fill=(255, 226, 122, 220))


def _waves(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    level, width = rng.uniform(0.45, 0.65) * side, rng.uniform(0.1, 0.16) * side
    draw.rectangle((0, level, side, level + 0.18 * side), fill=(*ink, 110))
    for index in range(int(side / width) + 2):
        at = index * width - rng.random() * width / 4
        draw.arc((at - width / 2, level, at + width / 2, level + width / 2), 0, 180, (255, 255, 255, 200), 2)


def _skyline(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    at = 0.0
    while at < side:
        width, top = rng.uniform(0.08, 0.2) * side, rng.uniform(0.15, 0.5) * side
        draw.rectangle((at, top, at + width, side), fill=(*ink, 60))
        at += width * 1.1


def _shelf(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    for level in (rng.uniform(0.15, 0.35) * side, rng.uniform(0.45, 0.7) * side):
        draw.rectangle((0, level, side, level + side / 40), fill=(*ink, 190))
        for _ in range(4):
            left, high = rng.random() * side, rng.uniform(0.05, 0.12) * side
            draw.rectangle((left, level - high, left + side / 14, level), fill=(*ink, 80))


def _fence(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    level, step = rng.uniform(0.45, 0.7) * side, rng.uniform(0.07, 0.11) * side
    for index in range(int(side / step) + 1):
        draw.rectangle(
            (index * step, level, index * step + step / 2, level + side / 6), fill=(255, 255, 255, 130)
        )


def _board(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    left, top = rng.uniform(0.02, 0.3) * side, rng.uniform(0.04, 0.15) * side
    box = (left, top, left + rng.uniform(0.55, 0.68) * side, top + rng.uniform(0.3, 0.4) * side)
    draw.rectangle(box, (150, 190, 165, 230), (*ink, 230), max(1, side // 50))


def _stripes(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    step, lean = rng.uniform(0.1, 0.18) * side, rng.uniform(-0.2, 0.2) * side
    for index in range(int(side / step) + 1):
        draw.line((index * step, 0, index * step + lean, side), (*ink, 60), max(1, side // 32))


def _awning(draw: ImageDraw.ImageDraw, rng: random.Random, side: int, ink: Colour) -> None:
    high, step = rng.uniform(0.1, 0.2) * side, rng.uniform(0.09, 0.14) * side
    for index in range(int(side / step) + 1):
        fill = (*ink, 200) if index % 2 else (255, 255, 255, 200)
        draw.rectangle((index * step, 0, (index + 1) * step, high), fill=fill)
        draw.pieslice((index * step, high - step / 2, (index + 1) * step, high + step / 2), 0, 180, fill=fill)


CUES: dict[str, Cue] = {
    "floor": _floor,
    "tiles": _tiles,
    "window": _window,
    "hills": _hills,
    "sun": _sun,
    "waves": _waves,
    "skyline": _skyline,
    "shelf": _shelf,
    "fence": _fence,
    "board": _board,
    "stripes": _stripes,
    "awning": _awning,
}
