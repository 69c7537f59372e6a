"""What a model is asked about: the pairs of a dataset's split, each with its picture and the place of its evidence."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.training.examples import Example, load_examples
from pipelines.training.regions import Masks, masks_of

if TYPE_CHECKING:
    from PIL import Image


class Item(NamedTuple):
    """A pair that a model is asked about."""

    example: Example
    part: str
    """The split, or the benchmark, that it is of."""
    cluster: str
    """What a resample draws as one: the contrast set, or whatever else ties rows together."""
    picture: Callable[[], Image.Image]
    """Decodes the image, upright RGB."""
    masks: Masks | None
    """Where the evidence is in the image, and as much that is free of it, if that is known."""


def dataset_items(dataset: Path, split: str, limit: int = 0) -> list[Item]:
    """The pairs of a split in the order of the shards.

    Args:
        dataset: The dataset's folder.
        split: Such as `test`.
        limit: About how many pairs, drawn as whole contrast sets; 0 takes all.

    Raises:
        ValueError: The folder has no such split, or lacks a column.
    """
    examples = load_examples(dataset, split)
    pictures = examples.select_columns("image")
    masks = masks_of(dataset, split)
    items = []
    for number, row in enumerate(examples.remove_columns("image").to_list()):
        fields: dict[str, Any] = {name: tuple(v) if isinstance(v, list) else v for name, v in row.items()}
        example = Example(**fields)
        cluster = example.contrast_group or example.id
        picture = partial(_picture, pictures, number)
        items.append(Item(example, split, cluster, picture, masks.get(example.id)))
    return some_of(items, limit)


def some_of(items: Sequence[Item], limit: int) -> list[Item]:
    """The items of clusters drawn by their hashes until there are `limit` of them; all if it is 0."""
    if not limit:
        return list(items)
    sizes: dict[str, int] = {}
    for item in items:
        sizes[item.cluster] = sizes.get(item.cluster, 0) + 1
    kept, total = set(), 0
    for cluster in sorted(sizes, key=lambda name: hashlib.sha256(f"evaluate:{name}".encode()).hexdigest()):
        if total >= limit:
            break
        kept.add(cluster)
        total += sizes[cluster]
    return [item for item in items if item.cluster in kept]


def _picture(pictures: Any, number: int) -> Image.Image:
    image: Image.Image = pictures[number]["image"].convert("RGB")
    return image
