"""What makes a dataset fit to be given away: its card, its Croissant description, and where it goes."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from pipelines.release.facts import Facts, Terms


def write_description(facts: Facts) -> None:
    """Write `README.md` and `croissant.json` into a dataset's folder; same folder and terms, same bytes."""
    from pipelines.release.card import card_text
    from pipelines.release.croissant import croissant_text, shards

    _replace(facts.path / "README.md", card_text(facts))
    _replace(facts.path / "croissant.json", croissant_text(facts, shards(facts)))


def _replace(path: Path, text: str) -> None:
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}.part")
    try:
        temporary.write_text(text, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)


__all__ = ["Facts", "Terms", "write_description"]
