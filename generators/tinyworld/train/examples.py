"""Training examples: many rendered scenes with what is where in them, held in memory as 64-pixel arrays."""

from __future__ import annotations

import os
from concurrent.futures import ProcessPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from generators.tinyworld.renderer import Scene, render, sample_scene
from generators.tinyworld.world import load_world

SIDE = 64
"""Side in pixels of what the models see; a stored 256-pixel scene is resized to it."""
PATCH = 8
GRID = SIDE // PATCH
TRAIN_SEEDS = 1 << 40
"""Training scenes and texts take seeds from here on; builds take seeds below, so none is seen in training."""


class ScenePool(NamedTuple):
    """Rendered scenes: pixels (n, 3, 64, 64) uint8, patch labels (n, 64) int64 with 0 for background."""

    scenes: list[Scene]
    pixels: NDArray[np.uint8]
    patches: NDArray[np.int64]

    def objects(self, index: int) -> list[str]:
        """Names of the concepts in one scene."""
        return [placed.concept for placed in self.scenes[index].objects]


def draw_pool(first_seed: int, count: int, *, plainly_harmful: bool = False) -> ScenePool:
    """Render `count` scenes from consecutive seeds, on all cores."""
    workers = os.cpu_count() or 1
    seeds = [range(first_seed + w, first_seed + count, workers) for w in range(workers)]
    with ProcessPoolExecutor(workers) as executor:
        parts = list(executor.map(_draw, seeds, [plainly_harmful] * workers))
    return ScenePool(
        [scene for part in parts for scene in part.scenes],
        np.concatenate([part.pixels for part in parts]),
        np.concatenate([part.patches for part in parts]),
    )


def _draw(seeds: range, plainly_harmful: bool) -> ScenePool:
    scenes = [sample_scene(seed, plainly_harmful=plainly_harmful) for seed in seeds]
    pixels = np.stack([shrink(render(scene)) for scene in scenes])
    return ScenePool(scenes, pixels, np.stack([patch_labels(scene) for scene in scenes]))


def shrink(image: Image.Image) -> NDArray[np.uint8]:
    """Resize as the models' preprocessing does: bicubic with antialiasing, to (3, 64, 64)."""
    small = image.resize((SIDE, SIDE), Image.Resampling.BICUBIC)
    return np.asarray(small, dtype=np.uint8).transpose(2, 0, 1)


def patch_labels(scene: Scene) -> NDArray[np.int64]:
    """Which concept (1 + its index) the middle of each patch lies on, 0 for none; shape (64,)."""
    names = [concept.name for concept in load_world().concepts]
    labels = np.zeros((GRID, GRID), dtype=np.int64)
    centres = (np.arange(GRID) + 0.5) / GRID
    for placed in scene.objects:
        reach = placed.size * 0.42
        rows = np.abs(centres - placed.y) < reach
        columns = np.abs(centres - placed.x) < reach
        if placed.concept in names:
            labels[np.ix_(rows, columns)] = 1 + names.index(placed.concept)
    return labels.reshape(-1)
