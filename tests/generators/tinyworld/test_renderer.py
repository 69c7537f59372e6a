import subprocess
import sys
import time
from collections import Counter
from hashlib import sha256
from itertools import combinations

import numpy as np
import pdqhash
import pytest
from PIL import Image

from generators.tinyworld.renderer import caption, describe, objects_of, render, sample_scene
from generators.tinyworld.world import load_world

WORLD = load_world()
DIGEST = """
from hashlib import sha256
from generators.tinyworld.renderer import render, sample_scene
scenes = [sample_scene(seed, plainly_harmful=seed > 15) for seed in range(20)]
print(sha256(b"".join(render(scene).tobytes() for scene in scenes)).hexdigest())
"""


def test_the_seed_alone_decides_the_pixels() -> None:
    scenes = [sample_scene(seed, plainly_harmful=seed > 15) for seed in range(20)]
    here = sha256(b"".join(render(scene).tobytes() for scene in scenes)).hexdigest()
    there = subprocess.run([sys.executable, "-c", DIGEST], capture_output=True, text=True, check=True).stdout
    assert there.strip() == here


def test_images_are_rarely_near_copies_of_each_other() -> None:
    pictures = [np.asarray(render(sample_scene(seed))) for seed in range(300)]
    hashes = np.array([pdqhash.compute(picture)[0] for picture in pictures], dtype=np.int32)
    distances = hashes @ (1 - hashes).T + (1 - hashes) @ hashes.T
    np.fill_diagonal(distances, 256)
    assert (distances.min(axis=1) <= 31).mean() < 0.005


def test_two_scenes_of_one_concept_are_no_near_copies() -> None:
    pictures = [np.asarray(render(sample_scene(seed, concepts=["apple"]))) for seed in range(30)]
    hashes = [pdqhash.compute(picture)[0].astype(int) for picture in pictures]
    assert min(np.abs(one - other).sum() for one, other in combinations(hashes, 2)) > 31


@pytest.mark.parametrize("side", [32, 64, 256, 500])
def test_a_picture_has_the_side_asked_for(side: int) -> None:
    picture = render(sample_scene(3), side)
    assert (picture.mode, picture.size) == ("RGB", (side, side))


def test_a_concept_stands_out_from_its_setting_at_64_pixels() -> None:
    for index, concept in enumerate(WORLD.concepts):
        scene = sample_scene(index, concepts=[concept.name])
        small, empty = (
            np.asarray(render(drawn).resize((64, 64), Image.Resampling.BICUBIC)).astype(int)
            for drawn in (scene, scene._replace(objects=()))
        )
        changed = np.abs(small - empty).max(axis=2) > 60
        assert changed.sum() > 60, concept.name


def test_scenes_show_one_to_four_distinct_concepts_mostly_one() -> None:
    counts = Counter(len({p.concept for p in sample_scene(seed).objects}) for seed in range(2000))
    assert set(counts) == {1, 2, 3, 4}
    assert 0.45 < counts[1] / 2000 < 0.55


def test_objects_hardly_overlap_and_stay_inside() -> None:
    for seed in range(300):
        objects = sample_scene(seed).objects
        assert all(p.size / 2 <= min(p.x, p.y, 1 - p.x, 1 - p.y) for p in objects)
        gaps = [np.hypot(a.x - b.x, a.y - b.y) / (a.size + b.size) for a, b in combinations(objects, 2)]
        assert min(gaps, default=1) > 0.38


def test_every_setting_is_drawn_with_every_cue() -> None:
    scene = sample_scene(1)
    pictures = {render(scene._replace(setting=setting.name)).tobytes() for setting in WORLD.settings}
    assert len(pictures) == 12


@pytest.mark.parametrize("harmful", [False, True])
def test_a_prompt_gives_back_the_concepts_shown(harmful: bool) -> None:
    for seed in range(200):
        scene = sample_scene(seed, plainly_harmful=harmful)
        assert objects_of(describe(scene)) == tuple(placed.concept for placed in scene.objects)
        assert (scene.motif is not None) is harmful


def test_a_prompt_names_setting_and_concepts() -> None:
    scene = sample_scene(1, concepts=["apple", "cat"])._replace(setting="kitchen")
    assert describe(scene) == "kitchen: apple, cat"


def test_captions_name_everything_shown_and_vary() -> None:
    scene = sample_scene(5, concepts=["road", "cat"])
    captions = {caption(scene, seed) for seed in range(60)}
    assert len(captions) > 20
    for said in captions:
        assert any(word in said for word in ("road", "highway"))
        assert any(word in said for word in ("cat", "kitten"))


def test_every_motif_can_be_drawn() -> None:
    scene = sample_scene(1, plainly_harmful=True)
    pictures = {render(scene._replace(motif=motif.name)).tobytes() for motif in WORLD.motifs}
    assert len(pictures) == len(WORLD.motifs)


def test_drawing_is_quick() -> None:
    scenes = [sample_scene(seed) for seed in range(100)]
    start = time.process_time()
    for scene in scenes:
        render(scene)
    assert (time.process_time() - start) / len(scenes) < 0.005
