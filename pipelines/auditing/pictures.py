"""One pass over the pictures of a dataset: does each decode under the caps, and what does its file give away?"""

from __future__ import annotations

import hashlib
import io
import os
import warnings
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import NamedTuple

from PIL import Image

from generators.decode import FORMATS
from pipelines.auditing.rows import Media, Rows
from pipelines.storage.blobs import BlobStore
from schemas.config import Ingest

BATCH = 64
"""Rows whose pictures are in memory at once."""


class Picture(NamedTuple):
    """What a file says of itself; of one that cannot be used only the error."""

    bytes: int
    width: int = 0
    height: int = 0
    format: str = ""
    quantisation: str = ""
    """A digest of the quantisation tables of a JPEG, by which encoders and qualities differ."""
    pdq: str = ""
    error: str = ""


class Pictures(NamedTuple):
    """All pictures by the sha256 of their bytes, and the digests of each row."""

    found: dict[str, Picture]
    images: list[str]
    composed: list[str]

    @property
    def usable(self) -> list[bool]:
        """Of each row, whether its image can be decoded."""
        return [not self.found[digest].error for digest in self.images]


def look(
    rows: Rows, blobs: BlobStore, track: Callable[[Iterable[Media]], Iterable[Media]] = iter
) -> Pictures:
    """Decode every distinct picture once; the images that decode are put in the blob store.

    Args:
        rows: The dataset.
        blobs: Where images are kept for the embedding.
        track: Wraps the rows to show progress.
    """
    pictures = Pictures({}, [], [])
    with ThreadPoolExecutor(os.cpu_count()) as executor:
        for batch in _batches(track(rows.media())):
            images = [(hashlib.sha256(media.image).hexdigest(), media.image) for media in batch]
            composed = [(hashlib.sha256(media.composed).hexdigest(), media.composed) for media in batch]
            pictures.images.extend(digest for digest, _ in images)
            pictures.composed.extend(digest for digest, _ in composed)
            fresh = {d: data for d, data in composed + images if d not in pictures.found}
            shown = dict(images)
            asked = [(data, rows.caps, digest in shown) for digest, data in fresh.items()]
            pictures.found.update(
                zip(list(fresh), executor.map(lambda one: measure(*one), asked), strict=True)
            )
            for digest in fresh.keys() & shown.keys():
                if not pictures.found[digest].error:
                    blobs.put(shown[digest])
    return pictures


def measure(data: bytes, caps: Ingest, hashed: bool) -> Picture:
    """Decode one picture, and hash its looks if asked; what stands in the way of it becomes the error."""
    if not data:
        return Picture(0, error="it is empty")
    if len(data) > caps.max_bytes:
        return Picture(len(data), error=f"it has {len(data):,} bytes, over the cap of {caps.max_bytes:,}")
    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        try:
            return _decoded(data, caps, hashed)
        # What Pillow raises on damaged files is not one class.
        except (OSError, SyntaxError, EOFError, ValueError, Warning, Image.DecompressionBombError) as error:
            return Picture(len(data), error=f"it does not decode ({type(error).__name__})")


def _decoded(data: bytes, caps: Ingest, hashed: bool) -> Picture:
    from pipelines.stages.decoding import pdq

    with Image.open(io.BytesIO(data), formats=FORMATS) as image:
        if image.width * image.height > caps.max_pixels:
            raise ValueError("too many pixels")
        size = Picture(len(data), image.width, image.height, image.format or "")
        tables = getattr(image, "quantization", None)
        name = hashlib.sha256(repr(sorted(tables.items())).encode()).hexdigest()[:8] if tables else ""
        image.load()
        return size._replace(quantisation=name, pdq=pdq(image.convert("RGB")) if hashed else "")


def _batches(media: Iterable[Media]) -> Iterator[tuple[Media, ...]]:
    iterator = iter(media)
    while batch := tuple(islice(iterator, BATCH)):
        yield batch
