"""Unused: a pool and the pairs made from it in; the assets that no pair uses out, as `Excluded`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Literal

import apache_beam as beam

from schemas.records import Excluded, ImageAsset, Pair, TextAsset


class Unused(beam.PTransform[Any, Any]):
    """`{"assets", "pairs"}` -> `Excluded` rows with the reason `unused`; `detail` is the asset's split.

    Args:
        modality: `image` or `text`.
    """

    def __init__(self, modality: Literal["image", "text"]) -> None:
        super().__init__(f"Unused-{modality}")
        self._modality = modality

    def expand(self, inputs: dict[str, Any]) -> Any:
        """Join the pool with the ids in use."""
        used = (
            inputs["pairs"]
            | "UsedId" >> beam.Map(_part_of, self._modality)
            | beam.Distinct()
            | "Used" >> beam.Map(lambda id: (id, True))
        )
        assets = inputs["assets"] | "ById" >> beam.Map(_named)
        joined = {"assets": assets, "used": used} | beam.CoGroupByKey()
        return joined | "Excluded" >> beam.FlatMap(_unused, self._modality)


def _named(asset: ImageAsset | TextAsset) -> tuple[str, tuple[str, str]]:
    return asset.id, (asset.provenance.name, asset.split)


def _part_of(pair: Pair, modality: str) -> str:
    candidate = pair.judgement.candidate
    return candidate.image_id if modality == "image" else candidate.text_id


def _unused(element: Any, modality: Literal["image", "text"]) -> Iterator[Excluded]:
    id, groups = element
    if not list(groups["used"]):
        for name, split in groups["assets"]:
            yield Excluded(modality, id, name, "select", "unused", detail=split)
