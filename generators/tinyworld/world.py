"""The closed world as data: concepts, settings, intents and motifs, read from `world.toml`."""

import tomllib
from collections.abc import Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple


class Concept(NamedTuple):
    """A thing that a scene can show, drawn as one pictogram."""

    name: str
    icon: str
    properties: tuple[str, ...]
    aliases: tuple[str, ...]


class Setting(NamedTuple):
    """Where a scene plays: two background colours, an ink, and the cues drawn in that ink behind all."""

    name: str
    colours: tuple[str, str]
    ink: str
    cues: tuple[str, ...]


class Intent(NamedTuple):
    """What somebody says about the thing shown; its wordings never name it."""

    name: str
    kind: str
    description: str
    wordings: tuple[str, ...]
    harmful: bool


class Motif(NamedTuple):
    """A plainly harmful composition of pictograms, for screening to catch."""

    name: str
    icons: tuple[str, ...]


class World(NamedTuple):
    """Everything that can be seen and said. `intents` are innocent alone, `plain_intents` are not."""

    concepts: tuple[Concept, ...]
    settings: tuple[Setting, ...]
    intents: tuple[Intent, ...]
    plain_intents: tuple[Intent, ...]
    motifs: tuple[Motif, ...]
    openers: tuple[str, ...]
    closers: tuple[str, ...]
    slots: Mapping[str, tuple[str, ...]]
    properties: Mapping[str, str]

    def concept(self, name: str) -> Concept:
        """Returns the concept of that name; raises KeyError naming it if the world has none."""
        return _concepts()[name]

    def setting(self, name: str) -> Setting:
        """Returns the setting of that name; raises KeyError naming it if the world has none."""
        return _settings()[name]

    def intent(self, name: str) -> Intent:
        """Returns the intent of that name, plain ones included; raises KeyError if there is none."""
        return _intents()[name]

    def motif(self, name: str) -> Motif:
        """Returns the motif of that name; raises KeyError naming it if the world has none."""
        return _motifs()[name]


@lru_cache(maxsize=1)
def load_world() -> World:
    """Reads the world once a process.

    Returns:
        The world, in the order of `world.toml`.
    """
    data = tomllib.loads((files(__package__) / "world.toml").read_text(encoding="utf-8"))
    return World(
        concepts=tuple(_concept(row) for row in data["concept"]),
        settings=tuple(_setting(row) for row in data["setting"]),
        intents=tuple(_intent(row, harmful=False) for row in data["intent"]),
        plain_intents=tuple(_intent(row, harmful=True) for row in data["plain_intent"]),
        motifs=tuple(Motif(row["name"], tuple(row["icons"])) for row in data["motif"]),
        openers=tuple(data["small_talk"]["openers"]),
        closers=tuple(data["small_talk"]["closers"]),
        slots={name: tuple(values) for name, values in data["slots"].items()},
        properties=data["properties"],
    )


def with_article(name: str) -> str:
    """Puts the indefinite article before a noun phrase, by its first letter."""
    return f"{'an' if name[0] in 'aeioAEIOX' else 'a'} {name}"


def _concept(row: Mapping[str, Any]) -> Concept:
    return Concept(row["name"], row["icon"], tuple(row["properties"]), tuple(row["aliases"]))


def _setting(row: Mapping[str, Any]) -> Setting:
    first, second = row["colours"]
    return Setting(row["name"], (first, second), row["ink"], tuple(row["cues"]))


def _intent(row: Mapping[str, Any], *, harmful: bool) -> Intent:
    return Intent(row["name"], row["kind"], row["description"], tuple(row["wordings"]), harmful)


@lru_cache(maxsize=1)
def _concepts() -> dict[str, Concept]:
    return {concept.name: concept for concept in load_world().concepts}


@lru_cache(maxsize=1)
def _settings() -> dict[str, Setting]:
    return {setting.name: setting for setting in load_world().settings}


@lru_cache(maxsize=1)
def _intents() -> dict[str, Intent]:
    world = load_world()
    return {intent.name: intent for intent in world.intents + world.plain_intents}


@lru_cache(maxsize=1)
def _motifs() -> dict[str, Motif]:
    return {motif.name: motif for motif in load_world().motifs}
