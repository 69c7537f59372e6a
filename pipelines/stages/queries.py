"""Queries of a search: keys in, the vectors that they stand for out; and how keys are grouped on disk."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

import numpy as np

from pipelines.stages.embed import Vectors, load_vectors
from pipelines.stages.search import Hit
from pipelines.storage.spill import Group, SpillFile, Value
from pipelines.storage.workspace import Workspace


class Away(NamedTuple):
    """Makes a query look away from something: key `ID-QUERY` then stands for vector(ID) - weight * vector(QUERY)."""

    fingerprint: str
    """Of the embedder of what is looked away from, of the same space."""
    weight: float


class Queries:
    """Loads what is searched for."""

    def __init__(self, fingerprint: str, workspace: Workspace, away: Away | None) -> None:
        self._fingerprint, self._workspace, self._away = fingerprint, workspace, away

    @property
    def extra(self) -> int:
        """Hits to ask for beyond the count, as a query's own asset may be dropped."""
        return 0 if self._away is None else 1

    def load(self, keys: list[str]) -> Vectors:
        """The vectors of queries, (q, d)."""
        if self._away is None:
            return load_vectors(self._fingerprint, self._workspace, keys)
        ids, others = zip(*(key.split("-") for key in keys), strict=True)
        vectors = load_vectors(self._fingerprint, self._workspace, ids)
        looked_away = load_vectors(self._away.fingerprint, self._workspace, others)
        return vectors - np.float32(self._away.weight) * looked_away

    def kept(self, key: str, hits: list[Hit]) -> list[Hit]:
        """The hits that a query may have."""
        return [hit for hit in hits if not self._away or hit.id != key.partition("-")[0]]


def shard_of(id: str, shards: int) -> int:
    """The index shard of an asset."""
    return int(hashlib.sha256(id.encode()).hexdigest(), 16) % shards


class Grouped:
    """(split, id) -> a value of the group `SPLIT/NUMBER`."""

    def __init__(self, groups: int) -> None:
        self._groups = groups

    def __call__(self, element: tuple[str, str]) -> Value:
        split, id = element
        return Value(f"{split}/{shard_of(id, self._groups)}", id, id.encode())


def split_of_group(group: Group) -> str:
    """The split of a group made by `Grouped`."""
    return group.key.rpartition("/")[0]


def read_ids(file: SpillFile, group: Group) -> Iterator[str]:
    """The ids of a group, sorted, each once."""
    return (id.decode() for id, _ in groupby(file.read(group)))
