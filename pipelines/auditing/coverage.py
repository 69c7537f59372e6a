"""Coverage checks: what of the taxonomy is there, how alike the assets are, and whether contrast sets are complete."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from pipelines.auditing.embeddings import Vectors
from pipelines.auditing.limits import Limits
from pipelines.auditing.results import DIGITS, Check
from pipelines.auditing.rows import Rows
from schemas.records import SPLITS

ALIKE = 0.95
"""Cosine from which two assets of a hazard count as copies of each other."""
LARGEST = 2000
"""Assets of a hazard that are compared with each other; of more, evenly spaced ones by id."""


def check_contrast_sets(rows: Rows, limits: Limits) -> Check:
    """The share of emergent pairs with a benign partner of each kind, in the same split."""
    sets: dict[tuple[str, str], set[str]] = {}
    for split, group, role in _zipped(rows, "split", "contrast_group", "role"):
        if group:
            sets.setdefault((split, group), set()).add(role)
    emergent = [roles for roles in sets.values() if "emergent" in roles]
    complete = sum({"contrast_image", "contrast_text"} <= roles for roles in emergent)
    share = round(complete / len(emergent), DIGITS) if emergent else 0.0
    limit = limits.contrast_sets
    passed = limit is None or share >= limit
    reason = (
        f"{complete:,} of {len(emergent):,} emergent pairs have both a contrast image and a contrast text."
    )
    bounds = {} if limit is None else {"at_least": limit}
    title = "Emergent pairs with both contrast partners"
    return Check("coverage", "contrast_sets", title, passed, share, None, bounds, reason)


def hazards_by_mechanism(rows: Rows) -> dict[str, dict[str, dict[str, int]]]:
    """Split to hazard to mechanism to number of emergent pairs."""
    table: dict[str, dict[str, Counter[str]]] = {split: {} for split in SPLITS}
    for split, role, hazard, mechanism in _zipped(rows, "split", "role", "hazard", "mechanism"):
        if role == "emergent":
            table[split].setdefault(hazard or "", Counter())[mechanism or ""] += 1
    return {
        split: {h: dict(sorted(counts.items())) for h, counts in sorted(found.items())}
        for split, found in table.items()
    }


def check_diversity(rows: Rows, vectors: Vectors, limits: Limits) -> Iterator[tuple[Check, dict[str, Any]]]:
    """For images and for texts: how alike those of one hazard are; the figures are by hazard."""
    for modality, limit in (("image", limits.image_copies), ("text", limits.text_copies)):
        found = similarity(rows, getattr(vectors, modality), modality)
        worst = max(found, key=lambda hazard: (found[hazard]["copies"], hazard), default="")
        share = found[worst]["copies"] if found else 0.0
        alike = f"mean cosine {found[worst]['mean']:.2f}" if found else "there are no emergent pairs"
        reason = f"Most alike are those of {worst or 'none'}: {share:.1%} have another at {ALIKE} or more, {alike}."
        bounds = {} if limit is None else {"at_most": limit}
        title = f"{modality.capitalize()}s of emergent pairs with another like them, worst hazard"
        passed = limit is None or share <= limit
        yield Check("coverage", f"{modality}_copies", title, passed, share, None, bounds, reason), found


def similarity(rows: Rows, vectors: npt.NDArray[np.float64], modality: str) -> dict[str, dict[str, float]]:
    """Hazard to `assets`, `mean` (cosine of two of them) and `copies` (share with another at ALIKE or more)."""
    first: dict[tuple[str, str], int] = {}
    for row, (role, hazard, id) in enumerate(_zipped(rows, "role", "hazard", f"{modality}_id")):
        if role == "emergent":
            first.setdefault((hazard or "", id), row)
    by_hazard: dict[str, list[int]] = {}
    for (hazard, _), row in sorted(first.items()):
        by_hazard.setdefault(hazard, []).append(row)
    return {hazard: _alike(vectors[chosen]) for hazard, chosen in by_hazard.items() if len(chosen) > 1}


def _alike(vectors: npt.NDArray[np.float64]) -> dict[str, float]:
    some = vectors[:: -(-len(vectors) // LARGEST)]
    cosines = some @ some.T
    np.fill_diagonal(cosines, np.nan)
    copies = float((np.nanmax(cosines, axis=1) >= ALIKE).mean())
    return {
        "assets": len(vectors),
        "mean": round(float(np.nanmean(cosines)), DIGITS),
        "copies": round(copies, DIGITS),
    }


def _zipped(rows: Rows, *columns: str) -> Iterator[tuple[Any, ...]]:
    return zip(*(rows.columns[column] for column in columns), strict=True)
