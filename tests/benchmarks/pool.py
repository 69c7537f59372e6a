"""The pool that the benchmarks read: pictures of about 100 KB, no two alike, and as many texts."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ProcessPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
from PIL import Image

SIDE = 320
QUALITY = 92
"""As ingest encodes, so that an input and what is stored of it have about one size."""
GRAIN = 13.5
"""Standard deviation of the film grain, in grey levels: it makes the files as large as photographs' are."""
COARSE = 16
CHUNK = 250


class Pool(NamedTuple):
    """Images and texts on disk."""

    images: Path
    texts: Path


def make_pool(folder: Path, count: int, advance: Callable[[int], Any]) -> Pool:
    """Draw `count` images and write `count` texts, what is there already excepted.

    Args:
        folder: Where to.
        count: How many of each.
        advance: Is told how many images were added.
    """
    pool = Pool(folder / "images", folder / "texts.txt")
    pool.images.mkdir(parents=True, exist_ok=True)
    chunks = [(pool.images, start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    with ProcessPoolExecutor(os.cpu_count()) as executor:
        for drawn in executor.map(_draw_chunk, chunks):
            advance(drawn)
    with pool.texts.open("w", encoding="utf-8") as file:
        file.writelines(f"{sentence(number)}\n" for number in range(count))
    return pool


def picture(number: int) -> Image.Image:
    """A colour field of its own (random, so far from all others by PDQ too) under film grain."""
    random = np.random.default_rng(number)
    coarse = random.integers(20, 236, (COARSE, COARSE, 3), dtype=np.uint8)
    field = np.asarray(Image.fromarray(coarse).resize((SIDE, SIDE), Image.Resampling.BICUBIC))
    top, left = random.integers(0, SIDE, 2)
    grained = field + _grain()[top : top + SIDE, left : left + SIDE]
    return Image.fromarray(np.clip(grained, 0, 255).astype(np.uint8))


def sentence(number: int) -> str:
    """Twelve words drawn from 4,096, the number's own."""
    digest = hashlib.sha512(str(number).encode()).digest()
    words = np.frombuffer(digest, np.uint16)[:12] % 4096
    return " ".join(f"{_SYLLABLES[word >> 6]}{_SYLLABLES[word & 63]}" for word in words.tolist())


_SYLLABLES = tuple(first + second for first in "bdfgklmnprstvwzh" for second in "aeiu")


@lru_cache(maxsize=1)
def _grain() -> npt.NDArray[np.int16]:
    return np.random.default_rng(0).normal(0, GRAIN, (2 * SIDE, 2 * SIDE, 3)).astype(np.int16)


def _draw_chunk(chunk: tuple[Path, int, int]) -> int:
    folder, start, end = chunk
    for number in range(start, end):
        path = folder / f"{number:06}.jpg"
        if not path.exists():
            picture(number).save(path, "JPEG", quality=QUALITY, subsampling=0)
    return end - start
