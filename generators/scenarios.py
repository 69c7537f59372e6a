"""Scenarios: what to look for in an image and to say in a text, read from TOML and checked against the taxonomy."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from schemas.records import Scenario
from schemas.taxonomy import load_taxonomy

REQUIRED = frozenset({"hazard", "mechanism", "image_queries", "text_queries", "why"})
ALLOWED = REQUIRED | {"held_out"}


class ScenarioError(ValueError):
    """A scenario file that cannot be used; the message names the entry and what is wrong with it."""


def load_scenarios(source: str) -> tuple[Scenario, ...]:
    """Read the scenarios of a world that ships with the package, or of a TOML file.

    Every image query of an entry is combined with every text query.

    Args:
        source: `tinyworld`, or the path of a file with `[[scenario]]` entries.

    Raises:
        ScenarioError: No such file, not TOML, an incomplete entry, or an unknown hazard or mechanism.
        ClosedHazardError: An entry asks for a hazard that is closed.
    """
    try:
        if source == "tinyworld":
            content = files("generators.tinyworld").joinpath("scenarios.toml").read_text(encoding="utf-8")
        else:
            content = Path(source).read_text(encoding="utf-8")
        entries = tomllib.loads(content).get("scenario", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"cannot read the scenarios in {source}: {error}") from None
    if not entries:
        raise ScenarioError(f"{source} holds no [[scenario]] entries")
    unique = {s.id: s for number, entry in enumerate(entries, 1) for s in _expand(source, number, entry)}
    return tuple(unique.values())


def _expand(source: str, number: int, entry: dict[str, Any]) -> Iterator[Scenario]:
    wrong = (REQUIRED - entry.keys()) | (entry.keys() - ALLOWED)
    if wrong:
        raise ScenarioError(
            f"{source}, scenario {number}: missing or unknown keys {', '.join(sorted(wrong))}"
        )
    taxonomy = load_taxonomy()
    hazard = taxonomy.require_open(entry["hazard"]).key
    try:
        mechanism = taxonomy.require_mechanism(entry["mechanism"]).key
    except ValueError as error:
        raise ScenarioError(f"{source}, scenario {number}: {error}") from None
    for image_query in entry["image_queries"]:
        for text_query in entry["text_queries"]:
            parts = "\0".join((hazard, mechanism, image_query, text_query))
            yield Scenario(
                id=hashlib.sha256(parts.encode()).hexdigest()[:16],
                hazard=hazard,
                mechanism=mechanism,
                image_query=image_query,
                text_query=text_query,
                why=entry["why"],
                held_out=bool(entry.get("held_out", False)),
            )
