"""Tinyworld as a source: scenes and utterances by seed, read like any folder of images or file of texts."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files

from generators.tinyworld.grammar import utter
from generators.tinyworld.renderer import Scene, caption, describe, render, sample_scene
from schemas.records import Provenance, RawAsset

LICENCE = "CC-BY-4.0"
"""Of the pictograms (Font Awesome Free), and so of the scenes; the grammar's texts are under it, too."""
SEED_BITS = 36
"""Seeds of a build stay below those of training, which start at 2 ** 40."""


def seed_of(build_seed: int, kind: str, number: int) -> int:
    """The seed of the `number`th scene or utterance of a build."""
    digest = hashlib.sha256(f"{build_seed}:{kind}:{number}".encode()).digest()
    return int.from_bytes(digest[:8], "big") >> (64 - SEED_BITS)


def name_of(kind: str, seed: int, plainly_harmful: bool) -> str:
    """The name of an asset, from which it can be made again."""
    return f"{kind}-{seed}{'-plain' if plainly_harmful else ''}"


def parse_name(name: str) -> tuple[int, bool]:
    """The seed of a named asset, and whether it is harmful by itself."""
    _, seed, *plain = name.split("-")
    return int(seed), bool(plain)


class _Pool:
    """`count` assets, of which about `plainly_harmful` (a share) are harmful by themselves."""

    kind = ""

    def __init__(self, count: int, plainly_harmful: float, build_seed: int) -> None:
        self._count, self._share, self._build_seed = count, plainly_harmful, build_seed

    def names(self) -> Iterator[str]:
        """Names of the assets, in order."""
        for number in range(self._count):
            seed = seed_of(self._build_seed, self.kind, number)
            drawn = seed_of(self._build_seed, f"{self.kind} harmful", number) / 2**SEED_BITS
            yield name_of(self.kind, seed, drawn < self._share)


class Scenes(_Pool):
    """A pool of rendered scenes (an `ImageSource`); an image's locator is its name."""

    kind = "scene"

    def rows(self) -> Iterator[RawAsset]:
        """Every scene, with a caption, and its description as the prompt."""
        for name in self.names():
            seed, _ = parse_name(name)
            scene = scene_of(name)
            yield RawAsset(name, _provenance(name, seed, caption(scene, seed), describe(scene)))

    def read(self, locator: str, max_bytes: int) -> bytes:
        """Draw a scene, uncompressed, since ingest decodes it at once; it is far below any sensible cap."""
        out = io.BytesIO()
        render(scene_of(locator)).save(out, "BMP")
        return out.getvalue()

    def identity(self, locator: str) -> str:
        """The name, and a digest of everything that decides how it is drawn."""
        return f"tinyworld {_code_digest()} {locator}"


class Utterances(_Pool):
    """A pool of utterances; the prompt is the name of the intent."""

    kind = "utterance"

    def rows(self) -> Iterator[RawAsset]:
        """Every utterance; its locator is the text itself."""
        for name in self.names():
            seed, plain = parse_name(name)
            said = utter(seed, plainly_harmful=plain)
            yield RawAsset(said.text, _provenance(name, seed, "", said.intent))


def scene_of(name: str) -> Scene:
    """The scene of a name that `Scenes` gave."""
    seed, plain = parse_name(name)
    return sample_scene(seed, plainly_harmful=plain)


def _provenance(name: str, seed: int, caption: str, prompt: str) -> Provenance:
    return Provenance(
        source="tinyworld",
        name=name,
        origin="generated",
        licence=LICENCE,
        caption=caption,
        generator="tinyworld",
        prompt=prompt,
        seed=seed,
    )


@lru_cache
def _code_digest() -> str:
    folder = files("generators.tinyworld")
    parts = (folder.joinpath(name).read_bytes() for name in ("world.toml", "renderer.py", "world.py"))
    return hashlib.sha256(b"".join(parts)).hexdigest()[:16]
