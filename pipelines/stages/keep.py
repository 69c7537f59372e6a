"""Keep: assets in, the same assets out once the run's asset store has them; drops nothing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from pipelines.storage.assets import AssetStore

BATCH = 512
"""Assets stored at once."""


class Keep(beam.PTransform[Any, Any]):
    """Assets of either modality -> the same assets; later stages then find them by id.

    Args:
        run_dir: The run's folder.
    """

    def __init__(self, run_dir: str) -> None:
        super().__init__()
        self._store = _Store(run_dir)

    def expand(self, assets: Any) -> Any:
        """Store in batches, without a shuffle."""
        return (
            assets | beam.BatchElements(min_batch_size=BATCH, max_batch_size=BATCH) | beam.ParDo(self._store)
        )


class _Store(beam.DoFn):
    def __init__(self, run_dir: str) -> None:
        self._run_dir = run_dir

    def setup(self) -> None:
        self._assets = AssetStore(self._run_dir)

    def process(self, batch: list[Any]) -> Iterator[Any]:
        self._assets.put_many(batch)
        yield from batch
