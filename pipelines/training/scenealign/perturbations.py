"""Four ways to make a right reasoning wrong about its picture, each after a failure of grounding (SceneAlign).

The abstract of arXiv 2601.05600 names the failures: a hallucinated entity (`swap`), a mis-grounded relation or
attribute (`replace`), a skipped step (`shorten`), an over-specified reasoning (`overthink`). The wording is our own.
"""

from __future__ import annotations

import random
import re
from collections.abc import Callable
from functools import partial
from typing import Literal, NamedTuple

from pipelines.training.scenealign.claims import critical_nodes, stated
from pipelines.training.scenealign.details import false_details
from pipelines.training.scenealign.graph import OPPOSITE, SCENE, Claim, SceneGraph
from pipelines.training.scenealign.naming import mentions, sentences, substituted
from schemas.reasoning import Reasoned

Kind = Literal["swap", "replace", "shorten", "overthink"]
KINDS: tuple[Kind, ...] = ("swap", "replace", "shorten", "overthink")
_CLAUSE = re.compile(r"(?:, (?:which|that|who)| that) (?:is|are) [^,.;:]+(?=[,.;:]|$)(?P<comma>,(?= and ))?")


class Perturbed(NamedTuple):
    """A reasoning that was made wrong, and in what."""

    kind: Kind
    reasoned: Reasoned
    asserted: tuple[Claim, ...] = ()
    """What it claims about the picture and the right one does not."""
    lost: tuple[Claim, ...] = ()
    """What the right one claims, rightly, and it does not say any more."""


class Unperturbed(NamedTuple):
    """Why a reasoning cannot be made wrong in some way."""

    reason: Literal["no_critical_node", "no_substitute", "nothing_to_replace", "no_step_to_skip", "no_detail"]


def perturb(kind: Kind, reasoned: Reasoned, graph: SceneGraph, key: str) -> Perturbed | Unperturbed:
    """Make a reasoning wrong in one way; the same arguments give the same words in every process.

    Verdict and hazard stay: what changes is the ground that they are given.

    Args:
        kind: The way.
        reasoned: A reasoning that is right about the picture.
        graph: What the picture shows.
        key: What the random choices are made from, such as the id of the pair.
    """
    critical = critical_nodes(reasoned, graph)
    if not critical:
        return Unperturbed("no_critical_node")
    return _WAYS[kind](reasoned, graph, critical, random.Random(f"{kind} {key}"))


def _swap(
    reasoned: Reasoned, graph: SceneGraph, critical: tuple[int, ...], rng: random.Random
) -> Perturbed | Unperturbed:
    """Call a critical object, wherever it is named, by the name of what it could be mistaken for."""
    for node in rng.sample(critical, len(critical)):
        substitutes = [name for name in graph.nodes[node].not_names if _can_stand_for(name, node, graph)]
        if substitutes:
            name = rng.choice(substitutes)
            wrong = _everywhere(reasoned, partial(_renamed, graph=graph, node=node, name=name))
            return Perturbed("swap", wrong, (Claim(node, "name", name),))
    return Unperturbed("no_substitute")


def _can_stand_for(name: str, node: int, graph: SceneGraph) -> bool:
    """Whether a name shares no word with what is in the picture, and is of the same number as the one it replaces."""
    words = {word for one in graph.nodes for known in one.names for word in _words(known)}
    return not words & _words(name) and _plural(name) == _plural(graph.nodes[node].names[0])


def _words(name: str) -> set[str]:
    return {word for word in re.findall(r"\w+", name.casefold()) if len(word) > 2}


def _plural(name: str) -> bool:
    return bool(re.search(r"[^su]s$", name.partition(" of ")[0]))


def _renamed(text: str, graph: SceneGraph, node: int, name: str) -> str:
    return substituted(text, [(m.start, m.end) for m in mentions(text, graph) if m.node == node], name)


def _everywhere(reasoned: Reasoned, change: Callable[[str], str]) -> Reasoned:
    rationale = change(reasoned.answer.rationale)
    return Reasoned(change(reasoned.think), reasoned.answer._replace(rationale=rationale))


def _replace(
    reasoned: Reasoned, graph: SceneGraph, critical: tuple[int, ...], rng: random.Random
) -> Perturbed | Unperturbed:
    """Replace an attribute or relation of a critical object, or the setting, by what the graph says is false."""
    grounded = {
        one.claim
        for text in (reasoned.think, reasoned.answer.rationale)
        for one in stated(text, graph)
        if graph.holds(one.claim) and (one.claim.subject in critical or one.claim.subject == SCENE)
    }
    options = [(claim, value) for claim in sorted(grounded) for value in _false_values(claim, graph)]
    if not options:
        return Unperturbed("nothing_to_replace")
    claim = rng.choice(sorted({claim for claim, _ in options}))
    value = rng.choice([value for one, value in options if one == claim])
    wrong = _everywhere(reasoned, lambda text: _restated(text, graph, claim, value))
    return Perturbed("replace", wrong, (claim._replace(value=value),), (claim,))


def _false_values(claim: Claim, graph: SceneGraph) -> tuple[str, ...]:
    if claim.aspect == "relation":
        return (OPPOSITE[claim.value],)
    if claim.aspect == "setting":
        return graph.elsewhere
    return graph.values(claim.subject, claim.aspect)[1]


def _restated(text: str, graph: SceneGraph, claim: Claim, value: str) -> str:
    same = [one for one in stated(text, graph) if one.claim == claim]
    return substituted(text, [(one.start, one.end) for one in same], value)


def _shorten(
    reasoned: Reasoned, graph: SceneGraph, critical: tuple[int, ...], rng: random.Random
) -> Perturbed | Unperturbed:
    """Skip the steps that ground the verdict: sentences that name a critical object, and what is said of it there.

    The rationale keeps the object's name, without which it would not be a sentence, and loses what the object is.
    """
    kept = [one for one in sentences(reasoned.think) if not _names(one, graph, critical)]
    if not kept or kept == sentences(reasoned.think):
        return Unperturbed("no_step_to_skip")
    rationale = _without_clauses(reasoned.answer.rationale, graph, critical)
    wrong = Reasoned(" ".join(kept), reasoned.answer._replace(rationale=rationale))
    before = {claim for claim in _claims(reasoned, graph) if graph.holds(claim)}
    named = {Claim(node, "name", graph.nodes[node].names[0]) for node in critical}
    return Perturbed("shorten", wrong, (), tuple(sorted((before - _claims(wrong, graph)) | named)))


def _names(text: str, graph: SceneGraph, nodes: tuple[int, ...]) -> bool:
    return any(mention.node in nodes for mention in mentions(text, graph))


def _claims(reasoned: Reasoned, graph: SceneGraph) -> set[Claim]:
    return {one.claim for text in (reasoned.think, reasoned.answer.rationale) for one in stated(text, graph)}


def _without_clauses(text: str, graph: SceneGraph, critical: tuple[int, ...]) -> str:
    """Without the relative clauses that say what a critical object is."""
    for mention in reversed(mentions(text, graph)):
        clause = _CLAUSE.match(text, mention.end)
        if clause and mention.node in critical:
            text = text[: clause.start()] + text[clause.end() :]
    return text


def _overthink(
    reasoned: Reasoned, graph: SceneGraph, critical: tuple[int, ...], rng: random.Random
) -> Perturbed | Unperturbed:
    """Go on about a critical object with details that the picture does not bear out."""
    node = rng.choice(critical)
    details = false_details(node, graph, rng)
    if details is None:
        return Unperturbed("no_detail")
    parts = sentences(reasoned.think)
    first = next((i for i, part in enumerate(parts) if _names(part, graph, (node,))), len(parts) - 1)
    think = " ".join([*parts[: first + 1], *details.sentences, *parts[first + 1 :]])
    return Perturbed("overthink", reasoned._replace(think=think), details.claims)


_WAYS: dict[
    Kind, Callable[[Reasoned, SceneGraph, tuple[int, ...], random.Random], Perturbed | Unperturbed]
] = {
    "swap": _swap,
    "replace": _replace,
    "shorten": _shorten,
    "overthink": _overthink,
}
