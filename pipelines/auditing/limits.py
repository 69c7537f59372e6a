"""What an audit demands, as numbers that a user may change one by one."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import NamedTuple


class Limits(NamedTuple):
    """The limits of the checks; shares and areas under the curve (AUC) are in [0, 1], None is no limit."""

    single_auc: float | None = 0.55
    """AUC of a probe that sees one modality, or the provenance; it may lie as far below 0.5 as above."""
    single_auc_interval: float | None = 0.60
    """The same for the ends of its interval."""
    joint_auc: float | None = 0.85
    """The least AUC of a probe that sees image and text: what is harmful together must be learnable."""
    contrast_sets: float | None = 0.95
    """The least share of emergent pairs with both contrast partners."""
    near_copies: float | None = 0
    """Images, and texts, that have a near copy in another split."""
    text_overlap: float | None = 0.05
    """Share of the texts of another split that have most of their 8-grams in train, too."""
    rationale_overlap: float | None = None
    """The same of the rationales. Those of a template, or of a small model, repeat themselves by nature."""
    image_copies: float | None = None
    """Share of images with another image of their hazard at a cosine of at least 0.95."""
    text_copies: float | None = None
    """The same of texts."""


class LimitError(ValueError):
    """A limit that does not exist, or is no number."""


def with_overrides(limits: Limits, settings: Iterable[str]) -> Limits:
    """The limits with `name=value` settings applied; the value `none` takes a limit away.

    Raises:
        LimitError: An unknown name, or a value that is neither a number of at least 0 nor `none`.
    """
    changed = dict(map(_setting, settings))
    return limits._replace(**changed)


def _setting(setting: str) -> tuple[str, float | None]:
    name, equals, value = (part.strip() for part in setting.partition("="))
    if not equals or name not in Limits._fields:
        known = ", ".join(Limits._fields)
        raise LimitError(f"--limit {setting!r}: write it as name=value; the names are {known}")
    if value.lower() == "none":
        return name, None
    try:
        number = float(value)
    except ValueError:
        number = math.nan
    if not 0 <= number < math.inf:
        raise LimitError(f"--limit {setting!r}: the value is a number of at least 0, or none")
    return name, number
