"""Datasets of tinyworld's scenes with right reasonings, for tests of what is made of them."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from PIL import Image

from generators.tinyworld.grammar import utter
from generators.tinyworld.renderer import Scene, caption, describe, objects_of, render, sample_scene
from generators.tinyworld.rules import harm_of
from pipelines.training.examples import example_of
from schemas.reasoning import BENIGN, HARMFUL, Answer, Reasoned
from tests.datasets import write_dataset


def row(seed: int, scene: Scene | None = None) -> dict[str, Any]:
    """A pair as a build writes it, of the scene (or another one) and the utterance of a seed."""
    scene, said = scene or sample_scene(seed), utter(seed)
    harm = harm_of(objects_of(describe(scene)), said.intent)
    id = hashlib.sha256(f"{seed}".encode()).hexdigest()
    return {
        "id": id,
        "text": said.text,
        "label": int(harm is not None),
        "role": "emergent" if harm else "benign",
        "hazard": harm.hazard if harm else "",
        "mechanism": harm.mechanism if harm else "",
        "rationale": harm.rationale if harm else "",
        "p_image": 0.01,
        "p_text": 0.01,
        "image_id": id,
        "image_generator": "tinyworld",
        "contrast_group": "",
        "image_caption": caption(scene, seed),
        "image_prompt": describe(scene),
        "image_seed": seed,
        "image_origin": "generated",
        "text_prompt": said.intent,
        "text_origin": "generated",
    }


def dataset(path: Path, scenes: Iterable[int] | Mapping[int, Scene]) -> Path:
    """A dataset of the split `train`, of the seeds of scenes, or of scenes by seeds that give their texts and ids."""
    drawn = scenes if isinstance(scenes, Mapping) else {seed: sample_scene(seed) for seed in scenes}
    pairs = [row(seed, scene) | {"image": _stored(scene)} for seed, scene in drawn.items()]
    return write_dataset(path, pairs, shards=1)


def picture(scene: Scene) -> Image.Image:
    """A scene as the tests draw it."""
    return render(scene, 64)


def _stored(scene: Scene) -> dict[str, Any]:
    out = io.BytesIO()
    picture(scene).save(out, "PNG")
    return {"bytes": out.getvalue(), "path": "scene.png"}


def reasoned(example: Mapping[str, Any]) -> Reasoned:
    """A right reasoning: what is seen, what is said, and what both mean."""
    seen = f'The image shows {example["image_says"][0]}. The text says "{example["text"]}"'
    if example["verdict"] == HARMFUL:
        why = example["references"][0]
        return Reasoned(f"{seen} Together: {why}", Answer(HARMFUL, example["hazard"], why))
    end = "What the image shows does not make what the text says harmful."
    return Reasoned(f"{seen} {end}", Answer(BENIGN, "", ""))


def reasoned_of(seed: int, scene: Scene | None = None) -> Reasoned:
    """The right reasoning about the pair of a seed."""
    return reasoned(example_of(row(seed, scene))._asdict())
