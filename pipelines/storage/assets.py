"""The assets of one run by id, on disk: what a written row says of its parts, without shuffling it to every pair."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from pipelines.storage.cache import InferenceCache
from pipelines.storage.packing import pack, unpack
from schemas.records import ImageAsset, TextAsset


class AssetStore:
    """Image and text assets with their clusters, splits and screening; lives as long as the run.

    Args:
        run_dir: The run's own folder, since these depend on the configuration.
    """

    def __init__(self, run_dir: str) -> None:
        self._rows = InferenceCache(Path(run_dir) / "assets.sqlite")

    def put_many(self, assets: Iterable[ImageAsset | TextAsset]) -> None:
        """Store assets; a repeated one, from a bundle that was run again, changes nothing."""
        self._rows.put_many({_key(asset): pack(asset) for asset in assets})

    def get(self, image_id: str, text_id: str) -> tuple[ImageAsset, TextAsset]:
        """The two assets of a pair; KeyError names one that was not stored."""
        keys = (f"image {image_id}", f"text {text_id}")
        found = self._rows.get_many(keys)
        for key in keys:
            if key not in found:
                raise KeyError(f"no {key} was stored in this run")
        image, text = (unpack(found[key]) for key in keys)
        return image, text


def _key(asset: ImageAsset | TextAsset) -> str:
    return f"{'image' if isinstance(asset, ImageAsset) else 'text'} {asset.id}"
