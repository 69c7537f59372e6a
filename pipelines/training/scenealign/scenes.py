"""Scene graphs of tinyworld's pictures, from what drew them: everything in them is known."""

from __future__ import annotations

import colorsys
from collections.abc import Mapping
from itertools import permutations
from typing import Any

from generators.tinyworld.renderer import Placed, Scene, describe, sample_scene
from generators.tinyworld.world import Concept, load_world
from pipelines.training.scenealign.graph import Colour, Node, NoGraph, Place, Relation, SceneGraph, Size

APART = 0.2
"""Parts of the picture's side by which centres differ before one counts as left of, or above, the other."""
HUES: tuple[tuple[float, float, Colour], ...] = (
    (0, 14, "red"),
    (20, 45, "brown"),
    (85, 155, "green"),
    (200, 250, "blue"),
    (265, 300, "purple"),
    (346, 360, "red"),
)
"""Degrees of hue that people call by one name, in the dark, saturated colours of pictograms; others are open."""


def tinyworld_graph(row: Mapping[str, Any]) -> SceneGraph | NoGraph:
    """The graph of a dataset's row, whose scene is drawn again from `image_seed` and compared with `image_prompt`.

    Returns:
        The graph; or `no_scene` for a picture that is not tinyworld's or has no seed, `scene_differs` where the scene
        of that seed is another than the row's (of another version of the world).
    """
    prompt, seed = row.get("image_prompt") or "", row.get("image_seed")
    if row.get("image_generator") != "tinyworld" or not prompt or seed is None:
        return NoGraph("no_scene", f"generator {row.get('image_generator')!r}, seed {seed!r}")
    scene = sample_scene(int(seed), plainly_harmful="[" in prompt)
    drawn = describe(scene)
    return graph_of(scene) if drawn == prompt else NoGraph("scene_differs", f"{drawn!r} is not {prompt!r}")


def graph_of(scene: Scene) -> SceneGraph:
    """The graph of a scene; a motif is a node of its name alone."""
    world = load_world()
    shown = [world.concept(placed.concept) for placed in scene.objects]
    others = [concept for concept in world.concepts if concept not in shown]
    nodes = [
        _node(placed, concept, shown, others) for placed, concept in zip(scene.objects, shown, strict=True)
    ]
    motif = [Node(names=(scene.motif,))] if scene.motif else []
    names = {name.casefold() for concept in shown for name in (concept.name, *concept.aliases)}
    absent = [name for concept in others for name in (concept.name, *concept.aliases)]
    return SceneGraph(
        nodes=(*nodes, *motif),
        relations=_relations(scene.objects),
        setting=scene.setting,
        elsewhere=tuple(setting.name for setting in world.settings if setting.name != scene.setting),
        absent=tuple(name for name in absent if name.casefold() not in names),
    )


def _node(placed: Placed, concept: Concept, shown: list[Concept], others: list[Concept]) -> Node:
    """What a pictogram could be mistaken for is what shares a property with it, or has none either."""
    alike = [other for other in others if set(other.properties) & set(concept.properties)]
    plain = [other for other in others if not other.properties]
    harmful = [other for other in others if other.properties]
    held = {one for other in shown for one in other.properties}
    phrases = load_world().properties
    return Node(
        names=(concept.name, *concept.aliases),
        not_names=tuple(other.name for other in (alike or (harmful if concept.properties else plain))),
        colour=_colour(placed.colour),
        size=_size(placed.size),
        place=_place(placed),
        traits=tuple(phrases[one] for one in concept.properties),
        not_traits=tuple(phrases[one] for one in phrases if one not in held),
    )


def _colour(rgb: tuple[int, int, int]) -> Colour:
    hue = 360 * colorsys.rgb_to_hsv(*(part / 255 for part in rgb))[0]
    return next((name for low, high, name in HUES if low <= hue <= high), "")


def _size(size: float) -> Size:
    return "large" if size >= 0.42 else "small" if size <= 0.29 else ""


def _place(placed: Placed) -> Place:
    column = "left" if placed.x < 0.4 else "right" if placed.x > 0.6 else ""
    row = "top" if placed.y < 0.4 else "bottom" if placed.y > 0.6 else ""
    return f"{row} {column}".strip() or "middle"  # type: ignore[return-value]


def _relations(objects: tuple[Placed, ...]) -> tuple[Relation, ...]:
    return tuple(
        Relation(subject=first, predicate=predicate, object=second)
        for first, second in permutations(range(len(objects)), 2)
        for predicate, holds in _compared(objects[first], objects[second]).items()
        if holds
    )


def _compared(one: Placed, other: Placed) -> dict[Any, bool]:
    """What holds of the first; its opposites follow from the second's turn."""
    return {
        "left of": other.x - one.x > APART,
        "above": other.y - one.y > APART,
        "larger than": one.size > 1.2 * other.size,
    }
