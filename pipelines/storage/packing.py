"""Packing: a record to a few hundred bytes for a shuffle, and back; nothing is lost or changed.

Engines hold what they shuffle in memory, in-process ones as Python objects. A row of three nested records takes
some 4 KB that way and 900 bytes as Beam pickles it; packed it is one `bytes` of under 300.
"""

from __future__ import annotations

import hashlib
import pickle
import zlib
from typing import Any

from schemas.records import (
    Candidate,
    Excluded,
    Failed,
    ImageAsset,
    Judgement,
    Pair,
    Provenance,
    RawAsset,
    Score,
    TextAsset,
)

_LEVEL, _WINDOW, _MEMORY = 1, -13, 6


def pack(record: Any) -> bytes:
    """A record (or a list of them) as bytes, for `unpack` in a process of the same run."""
    stream = _PRIMED.copy()
    return stream.compress(pickle.dumps(record, 5)) + stream.flush()


def unpack(packed: bytes) -> Any:
    """The record that was packed."""
    data = zlib.decompressobj(_WINDOW, _DICTIONARY).decompress(packed)
    return pickle.loads(data)  # noqa: S301 - bytes that `pack` made in this run, as Beam's own coders do


def bucket_of(id: str, buckets: int) -> int:
    """The group that an id falls into, in [0, `buckets`)."""
    return zlib.crc32(id.encode("utf-8", "backslashreplace")) % buckets


def _dictionary() -> bytes:
    """Examples of all records, so that names of classes and usual values are not spelt out in each."""
    id = hashlib.sha256(b"an id").hexdigest()
    provenance = Provenance("images", "000000.jpg", "retrieved", "CC0", "", "tinyworld", "", 0)
    image = ImageAsset(id, 512, 512, id, provenance, (Score("judge", 0.0),), id, "train")
    text = TextAsset(id, "", provenance._replace(origin="generated"), (), id, "train")
    candidate = Candidate(id, id, id, "", "train", "scenario", 0.5, "phy")
    pair = Pair(Judgement(candidate, 0.0, 0.0, 0.0, 0.0, "judge"), "benign", id)
    dropped = [
        Excluded("image", id, "", "dedupe", "near_duplicate"),
        Failed("text", id, "", "ingest", "OSError"),
    ]
    rows = [[RawAsset("", provenance)], *dropped, text, image, (pair, image, text)]
    return b"".join(pickle.dumps(row, 5) for row in rows)


_DICTIONARY = _dictionary()
_PRIMED = zlib.compressobj(_LEVEL, zlib.DEFLATED, _WINDOW, _MEMORY, zlib.Z_DEFAULT_STRATEGY, _DICTIONARY)
