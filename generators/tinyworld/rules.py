"""What a scene and an utterance mean together, by the rules of `rules.toml`: the world's ground truth.

No stage of a build may import this module; it is for tests, benchmarks, training data and scoring.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from functools import lru_cache
from importlib.resources import files
from typing import Any, NamedTuple

from generators.tinyworld.world import Concept, load_world, with_article


class Harm(NamedTuple):
    """The emergent harm of a pair, with the rationale that names what in each modality makes it."""

    hazard: str
    mechanism: str
    property: str
    kind: str
    concept: str
    rationale: str


class Combination(NamedTuple):
    """A concept and an intent that are harmful together."""

    concept: str
    intent: str
    property: str
    kind: str
    hazard: str
    mechanism: str
    held_out: bool


class _Cell(NamedTuple):
    hazard: str
    mechanism: str
    rationale: str


def harm_of(concepts: Iterable[str], intent: str) -> Harm | None:
    """Finds the harm of a picture that shows `concepts` beside a text of `intent`.

    Args:
        concepts: Names of the concepts shown.
        intent: The name of the text's intent.

    Returns:
        The harm, of the concept first in the order of the world if several are harmful; None if none is.

    Raises:
        KeyError: If the world has no such concept or intent.
    """
    world = load_world()
    shown = set(concepts)
    for name in sorted(shown):
        world.concept(name)
    kind = world.intent(intent).kind
    for concept in world.concepts:
        found = _property_at_fault(concept, kind) if concept.name in shown else None
        if found:
            return _harm(concept, found, intent)
    return None


def combinations() -> tuple[Combination, ...]:
    """Returns every harmful (concept, intent) of the world, in the order of the world."""
    return tuple(_expand())


def is_held_out(concept: str, intent: str) -> bool:
    """Tells whether a harmful combination is kept out of the training of the world's models."""
    return (concept, intent) in _held_out()


@lru_cache(maxsize=1)
def held_out_families() -> tuple[tuple[str, str], ...]:
    """Returns the families (property, kind) that are wholly kept out of training."""
    return tuple((prop, kind) for prop, kind in _rules()["held_out"]["families"])


@lru_cache(maxsize=1)
def blocks() -> tuple[tuple[frozenset[str], frozenset[str]], ...]:
    """Returns the blocks (properties, kinds): rules that share properties, taken together.

    Within a block every property is harmful with every kind, so that a family left out can be inferred.
    """
    merged: dict[frozenset[str], frozenset[str]] = {}
    for rule in _rules()["rule"]:
        shared = [key for key in merged if _same_block(key, merged[key], rule)]
        properties, kinds = frozenset(rule["properties"]), frozenset(rule["kinds"])
        for key in shared:
            kinds |= merged.pop(key)
            properties |= key
        merged[properties] = kinds
    return tuple(merged.items())


def _same_block(properties: frozenset[str], kinds: frozenset[str], rule: Mapping[str, Any]) -> bool:
    return properties == frozenset(rule["properties"]) or kinds == frozenset(rule["kinds"])


@lru_cache(maxsize=1)
def _rules() -> dict[str, Any]:
    return tomllib.loads((files(__package__) / "rules.toml").read_text(encoding="utf-8"))


@lru_cache(maxsize=1)
def _cells() -> dict[tuple[str, str], _Cell]:
    return {
        (prop, kind): _Cell(rule["hazard"], rule["mechanism"], rule["rationale"])
        for rule in _rules()["rule"]
        for prop in rule["properties"]
        for kind in rule["kinds"]
    }


def _property_at_fault(concept: Concept, kind: str) -> str | None:
    return next((prop for prop in concept.properties if (prop, kind) in _cells()), None)


def _harm(concept: Concept, prop: str, intent: str) -> Harm:
    said = load_world().intent(intent)
    cell = _cells()[prop, said.kind]
    rationale = cell.rationale.format(
        concept=with_article(concept.name), phrase=load_world().properties[prop], intent=said.description
    )
    return Harm(cell.hazard, cell.mechanism, prop, said.kind, concept.name, rationale)


def _expand() -> Iterator[Combination]:
    world = load_world()
    for concept in world.concepts:
        for intent in world.intents:
            prop = _property_at_fault(concept, intent.kind)
            if prop:
                cell = _cells()[prop, intent.kind]
                held = is_held_out(concept.name, intent.name)
                yield Combination(
                    concept.name, intent.name, prop, intent.kind, cell.hazard, cell.mechanism, held
                )


@lru_cache(maxsize=1)
def _held_out() -> frozenset[tuple[str, str]]:
    world = load_world()
    pairs = {(concept, intent) for concept, intent in _rules()["held_out"]["pairs"]}
    families = set(held_out_families())
    for concept in world.concepts:
        for intent in world.intents:
            prop = _property_at_fault(concept, intent.kind)
            if prop and (prop, intent.kind) in families:
                pairs.add((concept.name, intent.name))
    return frozenset(pairs)
