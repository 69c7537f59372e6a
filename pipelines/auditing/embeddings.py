"""The rows' images and texts as vectors of the dataset's own dual encoder."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.auditing.pictures import Pictures
from pipelines.auditing.rows import Rows
from pipelines.storage.cache import decode_floats
from pipelines.storage.workspace import Workspace

CHUNK = 512
"""Assets between two steps of the progress bar."""

Floats = npt.NDArray[np.float64]
Track = Callable[[Iterable[int]], Iterable[int]]


class Vectors(NamedTuple):
    """Unit vectors of the image and the text of each row, (n, d); zeros where an image does not decode."""

    image: Floats
    text: Floats


def embed(rows: Rows, pictures: Pictures, workspace: Workspace, track: Track = iter) -> Vectors:
    """Embed every distinct image and text once.

    Args:
        rows: The dataset, whose manifest names the model.
        pictures: The images, which lie in the workspace's blob store.
        workspace: Where the embedder reads blobs.
        track: Wraps the starts of the chunks to show progress.

    Raises:
        ModelMissingError: The dual encoder is not on this machine.
    """
    from pipelines.models.clip import ImageEmbedder, TextEmbedder

    model = rows.embed.model
    usable = [d if not pictures.found[d].error else "" for d in pictures.images]
    texts = {_key(text): text for text in rows.columns["text"]}
    image = ImageEmbedder(model, workspace)
    text = TextEmbedder(model)
    encoder = image.load_model()
    images = sorted(set(usable) - {""})
    found = _run(image, encoder, images, images, track)
    spoken = _run(text, encoder, sorted(texts), [texts[key] for key in sorted(texts)], track)
    return Vectors(_stack(found, usable), _stack(spoken, [_key(text) for text in rows.columns["text"]]))


def _key(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "backslashreplace")).hexdigest()


def _run(
    handler: Any, encoder: Any, keys: Sequence[str], inputs: Sequence[str], track: Track
) -> dict[str, npt.NDArray[np.float32]]:
    found: dict[str, npt.NDArray[np.float32]] = {}
    for start in track(range(0, len(keys), CHUNK)):
        part = slice(start, start + CHUNK)
        found.update(
            zip(keys[part], map(decode_floats, handler.run_inference(inputs[part], encoder)), strict=True)
        )
    return found


def _stack(found: dict[str, npt.NDArray[np.float32]], keys: Sequence[str]) -> Floats:
    width = len(next(iter(found.values()))) if found else 1
    nothing = np.zeros(width, dtype=np.float32)
    return np.stack([found.get(key, nothing) for key in keys]).astype(np.float64)
