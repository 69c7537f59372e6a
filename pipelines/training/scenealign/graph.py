"""Scene graphs: what a picture shows, and what it is known not to show; a claim about it is true, false or open."""

from __future__ import annotations

from functools import cached_property
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, model_validator

Colour = Literal[
    "", "red", "orange", "brown", "yellow", "green", "blue", "purple", "pink", "black", "white", "grey"
]
Size = Literal["", "small", "large"]
Place = Literal[
    "",
    "middle",
    "left",
    "right",
    "top",
    "bottom",
    "top left",
    "top right",
    "bottom left",
    "bottom right",
]
Predicate = Literal[
    "left of", "right of", "above", "below", "in front of", "behind", "larger than", "smaller than"
]
OPPOSITE: dict[str, Predicate] = {
    "left of": "right of",
    "right of": "left of",
    "above": "below",
    "below": "above",
    "in front of": "behind",
    "behind": "in front of",
    "larger than": "smaller than",
    "smaller than": "larger than",
}
FAR_COLOURS: dict[str, tuple[Colour, ...]] = {
    "red": ("green", "blue"),
    "orange": ("green", "blue"),
    "brown": ("green", "blue"),
    "yellow": ("blue", "purple"),
    "green": ("red", "purple"),
    "blue": ("red", "yellow"),
    "purple": ("green", "yellow"),
    "pink": ("green", "blue"),
    "black": ("white", "yellow"),
    "white": ("black", "red"),
    "grey": ("red", "yellow"),
}
"""Colours that nobody would take for each other; between neighbours a claim stays open."""
FAR_PLACES: dict[str, tuple[Place, ...]] = {
    "left": ("right",),
    "right": ("left",),
    "top": ("bottom",),
    "bottom": ("top",),
    "top left": ("bottom right", "top right", "bottom left"),
    "top right": ("bottom left", "top left", "bottom right"),
    "bottom left": ("top right", "bottom right", "top left"),
    "bottom right": ("top left", "bottom left", "top right"),
}
FAR_SIZES: dict[str, tuple[Size, ...]] = {"small": ("large",), "large": ("small",)}

Phrase = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=60, pattern=r"^\w[^\n\"<>]*$")
]
SCENE = -1
"""Subject of a claim about the whole picture."""


class Node(BaseModel):
    """An object of a picture. Empty attributes are unknown."""

    model_config = ConfigDict(frozen=True)

    names: tuple[Phrase, ...] = Field(min_length=1, description="its name, then what else it may be called")
    not_names: tuple[Phrase, ...] = Field(default=(), description="what it could be mistaken for and is not")
    colour: Colour = ""
    size: Size = ""
    place: Place = ""
    traits: tuple[Phrase, ...] = Field(
        default=(), description="what it is, as in `poisonous` or `a medical aid`"
    )
    not_traits: tuple[Phrase, ...] = ()


class Relation(BaseModel):
    """That one object stands to another in some way; both by their index among the nodes."""

    model_config = ConfigDict(frozen=True)

    subject: int = Field(ge=0)
    predicate: Predicate
    object: int = Field(ge=0)


class Claim(NamedTuple):
    """Something that may be said about a picture."""

    subject: int
    """Index of a node, or `SCENE`."""
    aspect: Literal["name", "presence", "colour", "size", "place", "trait", "setting", "relation"]
    value: str
    object: int = SCENE
    """Index of the other node of a relation."""


class SceneGraph(BaseModel):
    """Objects, their attributes and relations, and the setting.

    Beside what holds, a graph lists what does not (`not_names`, `not_traits`, `elsewhere`, `absent`), since no list of
    objects is complete: only what is listed so, or is far from what holds, is false.
    """

    model_config = ConfigDict(frozen=True)

    nodes: tuple[Node, ...] = Field(max_length=30)
    relations: tuple[Relation, ...] = Field(default=(), max_length=200)
    setting: Phrase | Literal[""] = ""
    elsewhere: tuple[Phrase, ...] = Field(default=(), description="settings that it is not")
    absent: tuple[Phrase, ...] = Field(default=(), description="objects that are not in the picture")

    @model_validator(mode="after")
    def _consistent(self) -> SceneGraph:
        names = self._names
        for node in self.nodes:
            _disjoint(node.not_names, names, "not_names")
            _disjoint(node.not_traits, _folded(node.traits), "not_traits")
        _disjoint(self.absent, names, "absent")
        _disjoint(self.elsewhere, {self.setting.casefold()}, "elsewhere")
        for relation in self.relations:
            self._check(relation)
        return self

    def _check(self, relation: Relation) -> None:
        ends = {relation.subject, relation.object}
        if len(ends) == 1 or max(ends) >= len(self.nodes):
            raise ValueError(f"a relation is between two of the {len(self.nodes)} nodes, not {sorted(ends)}")
        if self._related(relation.subject, OPPOSITE[relation.predicate], relation.object):
            raise ValueError(f"{relation.predicate!r} and its opposite hold of the same two nodes")

    @cached_property
    def _names(self) -> frozenset[str]:
        return _folded(name for node in self.nodes for name in node.names)

    def _related(self, subject: int, predicate: str, other: int) -> bool:
        known = {(one.subject, one.predicate, one.object) for one in self.relations}
        return (subject, predicate, other) in known or (other, OPPOSITE[predicate], subject) in known

    def holds(self, claim: Claim) -> bool | None:
        """Whether a claim is true; None if the graph leaves it open."""
        if claim.aspect == "relation":
            if self._related(claim.subject, claim.value, claim.object):
                return True
            return False if self._related(claim.subject, OPPOSITE[claim.value], claim.object) else None
        right, wrong = self._sides(claim)
        value = claim.value.casefold()
        return True if value in right else False if value in wrong else None

    def _sides(self, claim: Claim) -> tuple[frozenset[str], frozenset[str]]:
        if claim.aspect == "presence":
            return self._names, _folded(self.absent)
        if claim.aspect == "setting":
            return _folded([self.setting]), _folded(self.elsewhere)
        right, wrong = self.values(claim.subject, claim.aspect)
        return _folded(right), _folded(wrong)

    def values(self, subject: int, aspect: str) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """What is true of a node in one aspect, and what is false of it."""
        node = self.nodes[subject]
        match aspect:
            case "name":
                return node.names, node.not_names
            case "trait":
                return node.traits, node.not_traits
            case "colour":
                return (node.colour,) if node.colour else (), FAR_COLOURS.get(node.colour, ())
            case "place":
                return (node.place,) if node.place else (), FAR_PLACES.get(node.place, ())
            case "size":
                return (node.size,) if node.size else (), FAR_SIZES.get(node.size, ())
        raise ValueError(f"a node has no aspect {aspect!r}")


class NoGraph(NamedTuple):
    """Why there is no scene graph of a picture."""

    reason: Literal["no_scene", "scene_differs", "not_asked", "refused", "malformed_graph", "no_answer"]
    detail: str = ""


def _folded(values: object) -> frozenset[str]:
    return frozenset(value.casefold() for value in values if value)  # type: ignore[attr-defined]


def _disjoint(denied: tuple[str, ...], held: frozenset[str] | set[str], field: str) -> None:
    both = sorted(_folded(denied) & held)
    if both:
        raise ValueError(f"`{field}` denies what the graph states: {', '.join(both)}")
