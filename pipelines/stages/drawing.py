"""Composed pictures as files in the blob store; imports little, so that a worker process begins at once."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import NamedTuple

from PIL import Image, UnidentifiedImageError

from pipelines.processes import Broken
from pipelines.stages.layout import Style, lay_out
from pipelines.storage.blobs import BlobStore

QUALITY = 90


class Drawing(NamedTuple):
    """A picture to draw; see `layout.lay_out`."""

    image_id: str
    text: str
    style: Style
    width: int
    fonts: tuple[str, ...]


def draw(image: bytes, text: str, style: Style, width: int, fonts: Sequence[str] = ()) -> bytes:
    """The composed picture as a JPEG without metadata; see `lay_out`.

    Raises:
        OSError: The bytes are no image that can be decoded.
    """
    with Image.open(io.BytesIO(image)) as opened:
        picture = lay_out(opened, text, style, width, fonts)
    buffer = io.BytesIO()
    picture.save(buffer, "JPEG", quality=QUALITY, subsampling=0)
    return buffer.getvalue()


def store_drawing(wanted: Drawing, blobs: BlobStore) -> str | Broken:
    """The id of the drawn picture, or why there is none."""
    try:
        image = blobs.get(wanted.image_id)
        return blobs.put(draw(image, wanted.text, wanted.style, wanted.width, wanted.fonts))
    except UnidentifiedImageError as error:  # Its message names an address in memory.
        return Broken(type(error).__name__, "it is no image of a known format")
    except (KeyError, OSError, ValueError, Image.DecompressionBombError) as error:
        return Broken.of(error)
