"""The work directory that builds share: blob store, inference caches and the progress of runs."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

from pipelines.storage.blobs import BlobStore
from pipelines.storage.cache import InferenceCache

_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]*")


class Workspace(NamedTuple):
    """Where everything is that outlives a build but is no part of the dataset; travels inside DoFns."""

    root: str
    """Absolute path of the work directory, on a disk that every worker sees."""

    def blobs(self) -> BlobStore:
        """The store of image bytes."""
        return BlobStore(Path(self.root) / "blobs")

    def cache(self, fingerprint: str) -> InferenceCache:
        """The cache of one model's results; ValueError if the fingerprint cannot be a file's name."""
        return InferenceCache(Path(self.root) / "cache" / f"{_checked(fingerprint)}.sqlite")

    def run_dir(self, run_id: str) -> Path:
        """The directory of one run's progress, made if need be; ValueError if the id cannot be a name."""
        path = Path(self.root) / "runs" / _checked(run_id)
        path.mkdir(parents=True, exist_ok=True)
        return path


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not usable as a file name (letters, digits, `.`, `_`, `-`): {name!r}")
    return name
