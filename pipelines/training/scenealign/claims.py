"""What a reasoning claims about a picture, read from its words, and which objects its verdict rests on."""

from __future__ import annotations

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import NamedTuple, get_args

from pipelines.training.scenealign.graph import OPPOSITE, SCENE, Claim, Colour, Place, SceneGraph, Size
from pipelines.training.scenealign.naming import Mention, mentions, sentences, spans_of
from schemas.reasoning import Reasoned

_COLOURS, _SIZES, _PLACES = (tuple(filter(None, get_args(kind))) for kind in (Colour, Size, Place))
_BETWEEN = re.compile(
    r"^\W*(?:(?:is|are|stands?|lies|sits|hangs?|floats?)\s+)?(?:(?:to|on)\s+the\s+)?"
    rf"(?P<predicate>{'|'.join(OPPOSITE)})\s+(?:the|an?)\s+(?:\w+\s+)?$"
)


class Stated(NamedTuple):
    """A claim, and the words of a text that hold its value: `text[start:end]`."""

    claim: Claim
    start: int
    end: int


def critical_nodes(reasoned: Reasoned, graph: SceneGraph) -> tuple[int, ...]:
    """The objects without which the verdict has no ground, by index (SceneAlign's reasoning-critical nodes).

    Those that the rationale of the verdict names; where it names none (that of a benign verdict is often empty), those
    that the reasoning before it names.
    """
    for text in (reasoned.answer.rationale, reasoned.think):
        named = sorted({mention.node for mention in mentions(text, graph)})
        if named:
            return tuple(named)
    return ()


def stated(text: str, graph: SceneGraph) -> list[Stated]:
    """The claims about attributes, relations and setting that a text makes outside quotations, in its order.

    A claim belongs to the object that its sentence names last before it, or else next after it. What the graph cannot
    say anything about, such as a trait that it lists nowhere, is not found.
    """
    found: list[Stated] = []
    at = 0
    for sentence in sentences(text):
        at = text.index(sentence, at)
        named = mentions(sentence, graph)
        for one in (
            *_attributes(sentence, named, graph),
            *_relations(sentence, named),
            *_setting(sentence, graph),
        ):
            found.append(Stated(one.claim, one.start + at, one.end + at))
        at += len(sentence)
    return sorted(found, key=lambda one: (one.start, one.end))


def _attributes(sentence: str, named: list[Mention], graph: SceneGraph) -> Iterator[Stated]:
    traits = tuple(dict.fromkeys(t for node in graph.nodes for t in (*node.traits, *node.not_traits)))
    taken = [(mention.start, mention.end) for mention in named]
    for start, end in _outside(spans_of(sentence, traits), taken):
        if re.search(r"\b(is|are|being)\s$", sentence[:start]):
            owner = max((m for m in named if m.end <= start), default=None)
            if owner:
                yield Stated(Claim(owner.node, "trait", sentence[start:end].casefold()), start, end)
    for aspect, words in (("colour", _COLOURS), ("size", _SIZES)):
        for start, end in _outside(spans_of(sentence, words), taken):
            owner = _described(sentence, named, start, end)
            if owner:
                yield Stated(Claim(owner.node, aspect, sentence[start:end].casefold()), start, end)  # type: ignore[arg-type]
    for start, end in _outside(spans_of(sentence, _PLACES), taken):
        owner = max((m for m in named if m.end <= start), default=None)
        if owner and re.search(r"\b(in|on|at) the $", sentence[:start]):
            yield Stated(Claim(owner.node, "place", sentence[start:end].casefold()), start, end)


def _outside(spans: list[tuple[int, int]], taken: list[tuple[int, int]]) -> list[tuple[int, int]]:
    return [(a, b) for a, b in spans if not any(a < end and start < b for start, end in taken)]


def _described(sentence: str, named: list[Mention], start: int, end: int) -> Mention | None:
    """The object of an adjective: directly after it, or before it and "is"."""
    for mention in named:
        if not sentence[end : mention.start].strip() and end < mention.start:
            return mention
        if re.fullmatch(r"\s+(is|are)\s+(very\s+)?", sentence[mention.end : start]):
            return mention
    return None


def _relations(sentence: str, named: list[Mention]) -> Iterator[Stated]:
    for first, second in pairwise(named):
        between = _BETWEEN.match(sentence[first.end : second.start])
        if between and first.node != second.node:
            start = first.end + between.start("predicate")
            claim = Claim(first.node, "relation", between["predicate"], second.node)
            yield Stated(claim, start, start + len(between["predicate"]))


def _setting(sentence: str, graph: SceneGraph) -> Iterator[Stated]:
    for start, end in spans_of(sentence, tuple(filter(None, (graph.setting, *graph.elsewhere)))):
        if _is_where(sentence, start, end):
            yield Stated(Claim(SCENE, "setting", sentence[start:end].casefold()), start, end)


def _is_where(sentence: str, start: int, end: int) -> bool:
    """Whether a word says where the scene is ("in a garage", "shows a garage with"), not what it is about."""
    after = re.match(r"\s+with\b", sentence[end:])
    return bool(after or re.search(r"\b(in|at|on)\s+(an?|the)\s+$", sentence[:start]))
