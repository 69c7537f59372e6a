"""Scenarios: what to look for in an image and to say in a text, read from TOML and checked against the taxonomy."""

from __future__ import annotations

import hashlib
import json
import os
import tomllib
from collections.abc import Iterable, Iterator
from importlib.resources import files
from pathlib import Path
from typing import Any

from schemas.records import Scenario
from schemas.taxonomy import ClosedHazardError, load_taxonomy

REQUIRED = frozenset({"hazard", "mechanism", "image_queries", "text_queries", "why"})
ALLOWED = REQUIRED | {"held_out"}
SHIPPED = {"tinyworld": ("generators.tinyworld", "scenarios.toml"), "seeds": ("generators", "seeds.toml")}
"""Names of the files that ship with the package: `tinyworld` for its world, `seeds` for real photographs."""


class ScenarioError(ValueError):
    """A scenario file that cannot be used; the message names the entry and what is wrong with it."""


def load_scenarios(source: str) -> tuple[Scenario, ...]:
    """Read scenarios that ship with the package, or those of a TOML file.

    Every image query of an entry is combined with every text query.

    Args:
        source: `tinyworld`, `seeds`, or the path of a file with `[[scenario]]` entries.

    Raises:
        ScenarioError: No such file, not TOML, an incomplete entry, or an unknown hazard or mechanism.
        ClosedHazardError: An entry asks for a hazard that is closed.
    """
    try:
        entries = tomllib.loads(_content(source)).get("scenario", [])
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ScenarioError(f"cannot read the scenarios in {source}: {error}") from None
    if not isinstance(entries, list) or not entries:
        raise ScenarioError(f"{source} holds no [[scenario]] entries")
    unique = {s.id: s for number, entry in enumerate(entries, 1) for s in _expand(source, number, entry)}
    return tuple(unique.values())


def write_scenarios(path: Path, scenarios: Iterable[Scenario]) -> None:
    """Write scenarios as TOML that `load_scenarios` reads back; the same ones give the same bytes in any order.

    The file appears whole or not at all.

    Raises:
        ScenarioError: There is none to write.
        OSError: The file cannot be written.
    """
    unique = {s.id: s for s in scenarios}
    if not unique:
        raise ScenarioError(f"there are no scenarios to write into {path}")
    ordered = sorted(unique.values(), key=lambda s: (s.hazard, s.mechanism, s.image_query, s.text_query))
    unfinished = path.with_name(f"{path.name}.unfinished")
    unfinished.write_text("\n".join(map(_entry, ordered)), encoding="utf-8", newline="\n")
    os.replace(unfinished, path)


def _entry(scenario: Scenario) -> str:
    lines = [
        "[[scenario]]",
        f"hazard = {_quoted(scenario.hazard)}",
        f"mechanism = {_quoted(scenario.mechanism)}",
        f"image_queries = [{_quoted(scenario.image_query)}]",
        f"text_queries = [{_quoted(scenario.text_query)}]",
        f"why = {_quoted(scenario.why)}",
        *(["held_out = true"] if scenario.held_out else []),
    ]
    return "\n".join(lines) + "\n"


def _quoted(text: str) -> str:
    """A TOML basic string: JSON's, which alone leaves the delete character as it is."""
    return json.dumps(text, ensure_ascii=False).replace("\x7f", "\\u007f")


def scenario_id(hazard: str, mechanism: str, image_query: str, text_query: str) -> str:
    """The id of a scenario, 16 hex digits: it depends on what is asked alone."""
    parts = "\0".join((hazard, mechanism, image_query, text_query))
    return hashlib.sha256(parts.encode()).hexdigest()[:16]


def _content(source: str) -> str:
    if source in SHIPPED:
        package, name = SHIPPED[source]
        return files(package).joinpath(name).read_text(encoding="utf-8")
    return Path(source).read_text(encoding="utf-8")


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
            yield Scenario(
                id=scenario_id(hazard, mechanism, image_query, text_query),
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
