"""Quarantine: images in; those that no hash list knows out; near copies of a known image excluded without a word.

A match is neither displayed nor logged: its row holds no score, no distance, no name of file or list, and no later
stage, model or report gets to see the image, so this stage stands before all of them. (At its log level DEBUG Beam
itself names every element that it handles: leave that off.) The blob itself stays in the work directory, under the
id of the row, for whoever must report it. Many countries oblige whoever finds such material to report it to an
authority and forbid showing it, copying it or passing it on: take legal advice before the work directory is opened,
shared or cleaned.

PDQ finds copies that were resized, recompressed or lightly edited, not mirrored, rotated or strongly cropped ones.
"""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import apache_beam as beam
import numpy as np

from pipelines.stages.inference import in_batches
from pipelines.stages.screen import STAGE
from schemas.records import Excluded, ImageAsset

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from pipelines.progress import Tally

DISTANCE = 31
"""Bits of 256 that may differ: what PDQ's authors recommend."""
_HASH = re.compile(r"[0-9a-fA-F]{64}")


class HashList:
    """PDQ hashes of images that must not be used; matched exhaustively, so that none is missed.

    It travels to workers as plain bytes and prints as its size alone.

    Args:
        hashes: PDQ hashes of 256 bits, as 64 hex digits each.
        distance: How many bits a match may differ by, in [0, 128].

    Raises:
        ValueError: A hash is none (the message holds its place, not the hash), or the distance is out of range.
    """

    def __init__(self, hashes: Sequence[str], distance: int = DISTANCE) -> None:
        if not 0 <= distance <= 128:
            raise ValueError(f"a PDQ distance is between 0 and 128 bits, not {distance}")
        self.distance = distance
        self._bits = np.unique(_bits(hashes), axis=0)
        self._index: Any = None

    def __repr__(self) -> str:
        return f"HashList({len(self)} hashes, distance={self.distance})"

    def __getstate__(self) -> dict[str, Any]:
        return {**vars(self), "_index": None}

    def __len__(self) -> int:
        """How many different hashes are known."""
        return len(self._bits)

    @classmethod
    def read(cls, path: str | os.PathLike[str], distance: int = DISTANCE) -> HashList:
        """Read a text file with one hash a line.

        Blank lines and what follows a `#` are skipped, and so is what follows a comma (a quality or a tag).

        Raises:
            ValueError: A line is no hash, or there is none at all; the message holds the line's number and nothing
                of what it says.
        """
        lines = Path(path).read_text(encoding="utf-8-sig", errors="replace").split("\n")
        hashes = {number: hash for number, line in enumerate(lines, 1) if (hash := _first_column(line))}
        bad = next((number for number, hash in hashes.items() if not _HASH.fullmatch(hash)), None)
        if bad is not None:
            raise ValueError(
                f"{path}, line {bad}: a line holds a PDQ hash of 64 hex digits, and this one does not"
            )
        if not hashes:
            raise ValueError(f"{path}: the hash list holds no hashes")
        return cls(list(hashes.values()), distance)

    def matches(self, pdq_hex: str) -> bool:
        """Whether a hash is within `distance` bits of a known one."""
        return self.match_many([pdq_hex])[0]

    def match_many(self, pdqs: Sequence[str]) -> list[bool]:
        """Whether each of several hashes (64 hex digits) is within `distance` bits of a known one, in their order.

        Raises:
            ValueError: One of them is no PDQ hash; the message holds its place.
        """
        queries = _bits(pdqs)
        if not len(queries) or not len(self):
            return [False] * len(queries)
        nearest, _ = self._searched().search(queries, 1)
        return [bool(bits <= self.distance) for bits in nearest[:, 0]]

    def _searched(self) -> Any:
        if self._index is None:
            import faiss

            self._index = faiss.IndexBinaryFlat(256)
            self._index.add(self._bits)
        return self._index


def _first_column(line: str) -> str:
    """What stands before a comment and before a comma; empty if the line is."""
    row = line.partition("#")[0].strip()
    return row.partition(",")[0].strip() or row


def _bits(hashes: Sequence[str]) -> NDArray[np.uint8]:
    for place, hash in enumerate(hashes):
        if not _HASH.fullmatch(hash):
            raise ValueError(f"hash {place} is no PDQ hash of 64 hex digits")
    return np.frombuffer(bytes.fromhex("".join(hashes)), np.uint8).reshape(-1, 32)


def quarantined(asset: ImageAsset) -> Excluded:
    """The row of a match: its name could tell what it is, so the id stands in its place."""
    return Excluded("image", asset.id, asset.id, STAGE, "quarantined")


class Quarantine(beam.PTransform[Any, Any]):
    """`ImageAsset`s -> `{"kept", "excluded"}`; matches of the hash list are excluded as `quarantined`.

    Args:
        hashes: The known images.
        tally: Counts `in`, `kept`, `excluded`.
    """

    def __init__(self, hashes: HashList, *, tally: Tally) -> None:
        super().__init__()
        self._match = _MatchBatch(hashes, tally)

    def expand(self, assets: Any) -> dict[str, Any]:
        """Match in batches, without a shuffle."""
        match = beam.ParDo(self._match).with_outputs("excluded", main="kept")
        rows = assets | "Batch" >> in_batches() | "Match" >> match
        return {name: rows[name] for name in ("kept", "excluded")}


class _MatchBatch(beam.DoFn):
    def __init__(self, hashes: HashList, tally: Tally) -> None:
        self._hashes, self._tally = hashes, tally

    def process(self, batch: list[ImageAsset]) -> Iterator[Any]:
        self._tally.count("in", len(batch))
        matched = self._hashes.match_many([asset.pdq for asset in batch])
        for asset, match in zip(batch, matched, strict=True):
            self._tally.count("excluded" if match else "kept")
            yield beam.pvalue.TaggedOutput("excluded", quarantined(asset)) if match else asset

    def finish_bundle(self) -> None:
        self._tally.flush()
