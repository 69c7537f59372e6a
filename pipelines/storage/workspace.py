"""The work directory that builds share: blob store, inference caches and the progress of runs."""

from __future__ import annotations

import fcntl
import re
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
        """Where one run keeps its progress and what it spills; ValueError if the id cannot be a name."""
        return Path(self.root) / "runs" / _checked(run_id)

    @contextmanager
    def run(self, run_id: str) -> Iterator[Path]:
        """The directory of a run while it lasts; what killed runs left is removed first.

        A run holds the lock of its directory, so that others tell it from a killed one on any machine that
        shares the disk.
        """
        path = self.run_dir(run_id)
        runs = path.parent
        runs.mkdir(parents=True, exist_ok=True)
        with (runs / "lock").open("a") as gate:
            fcntl.flock(gate, fcntl.LOCK_EX)
            _remove_dead(runs)
            path.mkdir()
            lock = (path / "lock").open("a")
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield path
        finally:
            shutil.rmtree(path, ignore_errors=True)
            lock.close()


def _remove_dead(runs: Path) -> None:
    for path in (path for path in runs.iterdir() if path.is_dir()):
        with suppress(BlockingIOError), (path / "lock").open("a") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(path, ignore_errors=True)


def _checked(name: str) -> str:
    if not _NAME.fullmatch(name):
        raise ValueError(f"not usable as a file name (letters, digits, `.`, `_`, `-`): {name!r}")
    return name
