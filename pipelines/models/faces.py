"""Blurring of faces in retrieved photographs, with the Haar cascade that OpenCV ships.

It lowers how many people can be recognised and does not anonymise a pool. The cascade (Viola and Jones, 2001) looks
for upright faces seen from the front. It misses profiles, tilted and covered faces, faces in poor light, faces of
less than a sixteenth of a small picture's shorter side, and is known to find dark faces less often than light ones.
On snapshots about one box in three holds no face (foliage, a dog, clothes) and is blurred all the same. Whoever must
not publish faces needs people to look, or a better detector.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any, NamedTuple

from PIL import Image, ImageOps

if TYPE_CHECKING:
    from collections.abc import Iterable

CASCADE = "haarcascade_frontalface_default.xml"
ENLARGED = 1.2
"""A face's box is enlarged by this, since the cascade's ends at brow and chin."""
BLOCKS = 5
"""Squares across a blurred face."""
SHORT_SIDE = 400
"""Smaller pictures are scaled up to this (pixels) for the search, but by no more than `MOST_SCALE`."""
MOST_SCALE = 4.0
LEAST = 24
"""Side of the smallest face that the cascade can see, in pixels of the picture that is searched."""
_THREAD = threading.local()


class Box(NamedTuple):
    """A square of an image, in pixels: left and top are inside, right and bottom are not."""

    left: int
    top: int
    right: int
    bottom: int


def blur_faces(image: Image.Image) -> tuple[Image.Image, int]:
    """Pixelate every face that is found, and say how many there are; the same picture gives the same pixels.

    The result is an upright RGB picture without metadata (a camera's preview would show the faces again). The picture
    itself is not changed. OpenCV is set to one thread in this process.

    Raises:
        ImportError: OpenCV is not installed; the message says what to do.
    """
    upright = ImageOps.exif_transpose(image).convert("RGB")
    result = Image.frombytes("RGB", upright.size, upright.tobytes())
    faces = find_faces(upright)
    for face in faces:
        box = enlarged(face, upright.size)
        result.paste(pixelated(upright.crop(box)), box)
    return result, len(faces)


def version() -> str:
    """What decides which faces are found and how they are blurred.

    Raises:
        ImportError: OpenCV is not installed; the message says what to do.
    """
    return f"opencv {_opencv().__version__} {CASCADE} {ENLARGED} {BLOCKS} {SHORT_SIDE} {MOST_SCALE} {LEAST}"


def find_faces(image: Image.Image) -> list[Box]:
    """The boxes of the faces that the cascade finds, from left to right.

    Raises:
        ImportError: OpenCV is not installed; the message says what to do.
    """
    import numpy as np

    cascade = _cascade()
    scale = min(MOST_SCALE, max(1.0, SHORT_SIDE / min(image.size)))
    size = (round(image.width * scale), round(image.height * scale))
    searched = ImageOps.equalize(image.convert("L").resize(size, Image.Resampling.BICUBIC))
    found = cascade.detectMultiScale(
        np.asarray(searched), scaleFactor=1.1, minNeighbors=6, minSize=(LEAST,) * 2
    )
    return sorted(_boxes(found, scale))


def _boxes(found: Iterable[Any], scale: float) -> list[Box]:
    corners = ((x, y, x + width, y + height) for x, y, width, height in found)
    return [Box(*(round(float(c) / scale) for c in box)) for box in corners]


def enlarged(box: Box, size: tuple[int, int]) -> Box:
    """The box with `ENLARGED` times its sides around the same middle, cut at the edges of an image of that size."""
    more_x, more_y = (
        (ENLARGED - 1) / 2 * (end - start) for start, end in ((box.left, box.right), (box.top, box.bottom))
    )
    left, top = max(0, round(box.left - more_x)), max(0, round(box.top - more_y))
    return Box(left, top, min(size[0], round(box.right + more_x)), min(size[1], round(box.bottom + more_y)))


def pixelated(part: Image.Image) -> Image.Image:
    """A picture of the same size that keeps `BLOCKS` x `BLOCKS` mean colours, blended into each other."""
    coarse = part.resize((BLOCKS, BLOCKS), Image.Resampling.BOX)
    return coarse.resize(part.size, Image.Resampling.BILINEAR)


def _cascade() -> Any:
    """This thread's classifier; one must not be used by two threads at a time."""
    cv2 = _opencv()
    if not hasattr(_THREAD, "cascade"):
        cv2.setNumThreads(1)
        _THREAD.cascade = cv2.CascadeClassifier(cv2.data.haarcascades + CASCADE)
    return _THREAD.cascade


def _opencv() -> Any:
    try:
        import cv2
        import cv2.data
    except ImportError as error:
        raise ImportError("blurring faces needs OpenCV: pip install opencv-python-headless") from error
    return cv2
