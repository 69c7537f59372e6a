"""Bytes of an image to what is stored of it; imports little, so that a worker process begins at once."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from PIL import Image

from generators.decode import Unusable, decode_image, encode_image
from pipelines.models import faces
from pipelines.processes import Broken
from pipelines.storage.blobs import BlobStore
from schemas.config import Ingest
from schemas.records import NOT_SEARCHED

PDQ_SIDE = 512
"""PDQ's reference implementation, too, hashes a copy of at most this size."""


class Stored(NamedTuple):
    """An image that was decoded and stored."""

    id: str
    width: int
    height: int
    pdq: str
    faces_blurred: int = NOT_SEARCHED


def pdq(image: Image.Image) -> str:
    """PDQ hash of an RGB image, as 64 hex digits (Facebook's PDQ, 256 bits)."""
    import pdqhash

    small = image.copy()
    small.thumbnail((PDQ_SIDE, PDQ_SIDE), Image.Resampling.BILINEAR)
    bits, _ = pdqhash.compute(np.asarray(small))
    return np.packbits(bits.astype(np.uint8)).tobytes().hex()


def store_image(data: bytes, caps: Ingest, blobs: BlobStore) -> Stored:
    """Decode an image, blur its faces if the caps say so, and put it in the blob store.

    Raises:
        Unusable: It cannot be stored; the reason says why.
    """
    image, blurred = decode_image(data, caps), NOT_SEARCHED
    if caps.blur_faces:
        image, blurred = faces.blur_faces(image)
    jpeg = encode_image(image, caps.quality)
    return Stored(blobs.put(jpeg), image.width, image.height, pdq(image), blurred)


def stored_or_why(data: bytes, caps: Ingest, blobs: BlobStore) -> Stored | Unusable | Broken:
    """`store_image`, with what it raises as a value."""
    try:
        return store_image(data, caps, blobs)
    except Unusable as why:
        return why
    except Exception as error:  # noqa: BLE001 - decoders of hostile bytes may raise anything; it is in the row
        return Broken.of(error)
