"""A face that OpenCV's cascade finds, drawn so that tests need no picture of anybody."""

from __future__ import annotations

from PIL import Image, ImageDraw, ImageFilter

SIDE = 240
"""Width and height of the picture, in pixels."""


def drawn_face() -> Image.Image:
    """Dark eyes, brows and mouth on a light oval: enough of a face for a Haar cascade."""
    picture = Image.new("RGB", (SIDE, SIDE), (60, 70, 60))
    draw, middle = ImageDraw.Draw(picture), SIDE // 2
    draw.ellipse((middle - 55, 45, middle + 55, 190), fill=(215, 195, 180))
    for side in (-1, 1):
        x = middle + side * 30
        draw.ellipse((x - 16, 97, x + 16, 117), fill=(50, 40, 35))
        draw.rectangle((x - 16, 88, x + 16, 93), fill=(50, 40, 35))
    draw.polygon([(middle, 115), (middle - 8, 142), (middle + 8, 142)], fill=(185, 165, 150))
    draw.ellipse((middle - 24, 155, middle + 24, 167), fill=(110, 70, 70))
    return picture.filter(ImageFilter.GaussianBlur(3))
