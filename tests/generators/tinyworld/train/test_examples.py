import numpy as np
import pytest

from generators.tinyworld.renderer import Placed, Scene, render, sample_scene
from generators.tinyworld.train.examples import (
    GRID,
    SIDE,
    TRAIN_SEEDS,
    ScenePool,
    draw_pool,
    patch_labels,
    shrink,
)
from generators.tinyworld.world import load_world

NAMES = [concept.name for concept in load_world().concepts]


def _scene(*placed: Placed) -> Scene:
    return Scene("kitchen", placed, None, 0)


def _placed(name: str, x: float, y: float, size: float) -> Placed:
    return Placed(name, x, y, size, 0.0, (0, 0, 0))


def test_patches_under_an_object_carry_its_number_and_others_none() -> None:
    labels = patch_labels(_scene(_placed(NAMES[4], 0.25, 0.75, 0.5))).reshape(GRID, GRID)
    expected = np.zeros((GRID, GRID), dtype=int)
    expected[4:8, 0:4] = 5
    np.testing.assert_array_equal(labels, expected)


def test_the_object_drawn_last_covers_those_before() -> None:
    labels = patch_labels(_scene(_placed(NAMES[0], 0.5, 0.5, 1.0), _placed(NAMES[1], 0.5, 0.5, 0.5)))
    assert labels.reshape(GRID, GRID)[4, 4] == 2
    assert labels.reshape(GRID, GRID)[1, 1] == 1


def test_an_empty_scene_has_no_labels() -> None:
    assert not patch_labels(_scene()).any()


@pytest.mark.parametrize("seed", range(20))
def test_every_object_of_a_scene_labels_a_patch(seed: int) -> None:
    scene = sample_scene(seed)
    assert {1 + NAMES.index(o.concept) for o in scene.objects} <= set(patch_labels(scene).tolist())


def test_a_pool_holds_scenes_pixels_and_labels_in_the_same_order() -> None:
    pool = draw_pool(TRAIN_SEEDS, 7)
    assert pool.pixels.shape == (7, 3, SIDE, SIDE)
    assert pool.patches.shape == (7, GRID * GRID)
    for row, scene in enumerate(pool.scenes):
        np.testing.assert_array_equal(pool.pixels[row], shrink(render(scene)))
        np.testing.assert_array_equal(pool.patches[row], patch_labels(scene))
        assert pool.objects(row) == [o.concept for o in scene.objects]


def test_a_pool_is_made_of_its_seeds() -> None:
    drawn = {str(scene) for scene in draw_pool(TRAIN_SEEDS, 5).scenes}
    assert drawn == {str(sample_scene(TRAIN_SEEDS + n)) for n in range(5)}


def test_a_harmful_pool_shows_motifs_and_a_plain_one_none(pool: ScenePool, harmful: ScenePool) -> None:
    assert all(scene.motif for scene in harmful.scenes)
    assert not any(scene.motif for scene in pool.scenes)
