"""Which rows are fitted on and which are held out, so that nothing of a held-out asset was seen. Pure functions."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

FOLDS = 5

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Cell(NamedTuple):
    """Rows to fit on, and rows that are held out."""

    fit: Mask
    held_out: Mask


def numbered(values: Sequence[str] | npt.NDArray[np.str_]) -> Ints:
    """A number for each distinct value; an empty one is different from every other."""
    distinct = [value or f"row {row}" for row, value in enumerate(values)]
    return np.unique(distinct, return_inverse=True)[1].astype(np.int64)


def connected(*columns: Ints) -> Ints:
    """Components of rows that share a value in some column, numbered."""
    from scipy.sparse import coo_array
    from scipy.sparse.csgraph import connected_components

    n = len(columns[0])
    nodes = [n * (i + 1) + np.unique(column, return_inverse=True)[1] for i, column in enumerate(columns)]
    edges = (np.tile(np.arange(n), len(columns)), np.concatenate(nodes))
    size = n * (len(columns) + 1)
    graph = coo_array((np.ones(n * len(columns)), edges), shape=(size, size))
    return np.asarray(connected_components(graph, directed=False)[1][:n], dtype=np.int64)


def separable(asset: Ints, contrast: Ints) -> Ints:
    """Groups that no two folds may share: an asset with its contrast sets, or (if one has too many rows) the asset.

    Contrast sets chain assets. Where they tie more than a fold's share of the rows together, only the assets are
    kept apart.
    """
    tied = connected(asset, contrast)
    return tied if np.bincount(tied).max() * FOLDS <= len(tied) else asset


def fold_of(groups: Ints, names: Sequence[str], folds: int = FOLDS) -> Ints:
    """The fold of each row: groups are dealt to the smallest fold, largest first, ties by a hash of their names.

    Args:
        groups: (n,) numbers of groups.
        names: (n,) something stable of each row, such as its asset's id; a group counts by its smallest.
        folds: How many.
    """
    sizes = np.bincount(groups)
    first: dict[int, str] = {}
    for group, name in sorted(zip(groups.tolist(), names, strict=True), key=lambda item: item[1]):
        first.setdefault(group, hashlib.sha256(f"fold:{name}".encode()).hexdigest())
    load, found = np.zeros(folds, dtype=np.int64), np.zeros(len(sizes), dtype=np.int64)
    for group in sorted(first, key=lambda g: (-sizes[g], first[g])):
        found[group] = load.argmin()
        load[found[group]] += sizes[group]
    return found[groups]


def cells(folds: Sequence[Ints]) -> Iterator[Cell]:
    """Every row held out once: where rows have several folds, its fit saw none of them.

    Args:
        folds: The fold of each row by each of its assets. With those of image and text, a cell holds out the rows
            of an image fold and a text fold, and is fitted on the rows of neither.
    """
    keys = np.stack(folds, axis=1)
    for key in np.unique(keys, axis=0):
        same = keys == key
        yield Cell(~same.any(axis=1), same.all(axis=1))
