"""Embed: assets in, the same assets out once their vectors are in the cache; those that cannot be are failed.

Vectors never travel with the elements: later stages read them by id with `load_vectors`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Literal

import apache_beam as beam
import numpy as np
import numpy.typing as npt

from pipelines.progress import Tally
from pipelines.stages.inference import failed, in_batches
from pipelines.storage.cache import CachedInference, InferenceError, decode_floats
from pipelines.storage.workspace import Workspace
from schemas.records import ImageAsset

STAGE = "embed"
Vectors = npt.NDArray[np.float32]


def load_vectors(fingerprint: str, workspace: Workspace, ids: Sequence[str]) -> Vectors:
    """Read the embeddings of assets from the cache, as (n, d), in the order of `ids`.

    Args:
        fingerprint: The fingerprint of the handler that embedded them.
        workspace: Where the cache is.
        ids: Asset ids, or keys of queries.

    Raises:
        KeyError: Some id was not embedded by this model; the message names the first.
    """
    if not ids:
        return np.zeros((0, 0), dtype=np.float32)
    found = workspace.cache(fingerprint).get_many(ids)
    missing = [id for id in ids if id not in found]
    if missing:
        raise KeyError(f"{len(missing)} of {len(ids)} vectors are not in the cache, first {missing[0]}")
    return np.stack([decode_floats(found[id]) for id in ids])


class Embed(beam.PTransform[Any, Any]):
    """Assets of one modality -> `{"kept", "failed"}`; the vector of every kept one is in the cache.

    Args:
        handler: Embedder of blob ids (images) or of texts, to the bytes of a float32 unit vector.
        modality: `image` or `text`.
        workspace: Where the inference caches are.
        tally: Counts `in`, `kept`, `failed`.
    """

    def __init__(
        self, handler: Any, modality: Literal["image", "text"], workspace: Workspace, tally: Tally
    ) -> None:
        super().__init__()
        self._embed = _EmbedBatch(handler, modality, workspace, tally)

    def expand(self, assets: Any) -> dict[str, Any]:
        """Embed in batches, without a shuffle."""
        embed = beam.ParDo(self._embed).with_outputs("failed", main="kept")
        rows = assets | "Batch" >> in_batches() | "Embed" >> embed
        return {name: rows[name] for name in ("kept", "failed")}


class _EmbedBatch(beam.DoFn):
    def __init__(
        self, handler: Any, modality: Literal["image", "text"], workspace: Workspace, tally: Tally
    ) -> None:
        self._handler = handler
        self._modality = modality
        self._workspace = workspace
        self._tally = tally

    def setup(self) -> None:
        self._infer: Any = CachedInference(self._handler, self._workspace, self._tally)

    def process(self, batch: list[Any]) -> Iterator[Any]:
        self._tally.count("in", len(batch))
        keyed = [(asset.id, asset.id if isinstance(asset, ImageAsset) else asset.text) for asset in batch]
        for asset, result in zip(batch, self._infer(keyed), strict=True):
            if isinstance(result, InferenceError):
                self._tally.count("failed")
                row = failed(result, self._modality, asset.id, asset.provenance.name, STAGE)
                yield beam.pvalue.TaggedOutput("failed", row)
            else:
                self._tally.count("kept")
                yield asset

    def finish_bundle(self) -> None:
        self._tally.flush()
