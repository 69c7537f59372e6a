"""Scenarios: what to look for in an image and to say in a text, read from TOML and checked against the taxonomy."""

from __future__ import annotations

import hashlib
import tomllib
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from schemas.records import Scenario
from schemas.taxonomy import ClosedHazardError, load_taxonomy

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
    if not isinstance(entries, list) or not entries:
        raise ScenarioError(f"{source} holds no [[scenario]] entries")
    unique = {s.id: s for number, entry in enumerate(entries, 1) for s in _expand(source, number, entry)}
    return tuple(unique.values())


def _expand(source: str, number: int, entry: dict[str, Any]) -> Iterator[Scenario]:
    try:
        _check_form(entry)
        hazard = load_taxonomy().require_open(entry["hazard"]).key
        mechanism = load_taxonomy().require_mechanism(entry["mechanism"]).key
    except ClosedHazardError:
        raise
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
                held_out=entry.get("held_out", False),
            )


def _check_form(entry: dict[str, Any]) -> None:
    wrong = (REQUIRED - entry.keys()) | (entry.keys() - ALLOWED)
    if wrong:
        raise ValueError(f"missing or unknown keys {', '.join(sorted(wrong))}")
    for key in ("image_queries", "text_queries"):
        queries = entry[key]
        if (
            not isinstance(queries, list)
            or not queries
            or not all(isinstance(q, str) and q.strip() for q in queries)
        ):
            raise ValueError(f"`{key}` is no list of queries: {queries!r}")
    for key in ("hazard", "mechanism", "why"):
        if not isinstance(entry[key], str):
            raise ValueError(f"`{key}` is no text: {entry[key]!r}")
    if not isinstance(entry.get("held_out", False), bool):
        raise ValueError(f"`held_out` is neither true nor false: {entry['held_out']!r}")
