"""Details about an object that its picture does not bear out, in words: what an over-specified reasoning is made of."""

from __future__ import annotations

import random
from typing import NamedTuple

from pipelines.training.scenealign.graph import SCENE, Claim, SceneGraph
from pipelines.training.scenealign.naming import article

OPENERS = ("Looking closer", "On a second look", "To be exact", "In more detail")
NEIGHBOURS = (
    "There is also {other} right beside it, which matters here.",
    "Right behind it there is {other}, and this has to be weighed as well.",
    "It touches {other}, so both have to be taken together.",
    "Half hidden next to it there is {other}, which adds to this.",
)
ASPECTS = ("colour", "place", "size")
SAID = {
    "colour": "is {value}",
    "size": "is very {value}",
    "place": "stands {where}",
}


class Details(NamedTuple):
    """Sentences, and what they claim: nothing that the graph says is true, and something that it says is false."""

    sentences: tuple[str, ...]
    claims: tuple[Claim, ...]


def false_details(node: int, graph: SceneGraph, rng: random.Random) -> Details | None:
    """One or two sentences of wrong attributes and an object that is not there; None if the graph denies nothing."""
    attributes = _attributes(node, graph, rng)
    neighbours = [name for name in graph.absent if name.casefold() not in graph.nodes[node].not_names]
    said, claims = [], list(attributes)
    name = graph.nodes[node].names[0]
    if attributes:
        words = " and ".join(_said(claim) for claim in attributes)
        said.append(f"{rng.choice(OPENERS)}, the {name} {words}.")
    if neighbours:
        other = rng.choice(neighbours)
        form = (
            rng.choice(NEIGHBOURS)
            if said
            else f"{rng.choice(OPENERS)}, there is also {{other}} beside the {name}."
        )
        said.append(form.format(other=f"{article(other)} {other}"))
        claims.append(Claim(SCENE, "presence", other))
    return Details(tuple(said), tuple(claims)) if said else None


def _attributes(node: int, graph: SceneGraph, rng: random.Random) -> list[Claim]:
    """At most two wrong attributes, of different aspects."""
    false = {aspect: graph.values(node, aspect)[1] for aspect in ASPECTS}
    known = [aspect for aspect in ASPECTS if false[aspect]]
    chosen = sorted(rng.sample(known, min(2, len(known))), key=ASPECTS.index)
    return [Claim(node, aspect, rng.choice(false[aspect])) for aspect in chosen]  # type: ignore[arg-type]


def _said(claim: Claim) -> str:
    corner = " corner" if " " in claim.value else ""
    preposition = {"left": "on", "right": "on", "top": "at", "bottom": "at"}.get(claim.value, "in")
    return SAID[claim.aspect].format(value=claim.value, where=f"{preposition} the {claim.value}{corner}")
