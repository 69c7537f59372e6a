"""Where a reasoning names the objects of a scene: sentences, quotations, mentions, and articles that fit."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

from pipelines.training.scenealign.graph import SceneGraph

_QUOTED = re.compile(
    r'"[^"]*"|\N{LEFT DOUBLE QUOTATION MARK}[^\N{RIGHT DOUBLE QUOTATION MARK}]*'
    r"\N{RIGHT DOUBLE QUOTATION MARK}"
)
_SOUNDS_LIKE_A_CONSONANT = re.compile(r"(uni(?!n|m)|us[aeu]|ut[ei]|eu|one\b|once\b)", re.IGNORECASE)


class Mention(NamedTuple):
    """An object named in a text: `text[start:end]`, without an article."""

    start: int
    end: int
    node: int
    """Index among the nodes of the graph."""


def quoted(text: str) -> list[tuple[int, int]]:
    """Spans between double quotation marks, straight or curly; one that is never closed quotes nothing."""
    return [one.span() for one in _QUOTED.finditer(text)]


def sentences(text: str) -> list[str]:
    """The sentences of a text, without the white space between them; a quotation is never split."""
    inside, parts, start = quoted(text), [], 0
    for end in re.finditer(r"[.!?]\s+(?=[^\sa-z])", text):
        if not any(first < end.start() < last - 1 for first, last in inside):
            parts.append(text[start : end.start() + 1])
            start = end.end()
    return [part.strip() for part in (*parts, text[start:]) if part.strip()]


def mentions(text: str, graph: SceneGraph) -> list[Mention]:
    """Where a text, outside quotations, names a node by any of its names; names of several nodes do not count.

    Of overlapping names the longest counts, so that "car battery" does not name a car.
    """
    owners: dict[str, set[int]] = {}
    for index, node in enumerate(graph.nodes):
        for name in node.names:
            owners.setdefault(name.casefold(), set()).add(index)
    found = spans_of(text, tuple(owners))
    return [
        Mention(start, end, min(owners[text[start:end].casefold()]))
        for start, end in found
        if len(owners[text[start:end].casefold()]) == 1
    ]


def absentees(text: str, graph: SceneGraph) -> list[str]:
    """Objects that a text, outside quotations, says there are (`a bicycle`), and that the graph says are not there."""
    known = {name.casefold() for node in graph.nodes for name in node.names}
    # In the order of the alphabet, so that all pictures of a closed world share one compiled pattern.
    spans = spans_of(text, tuple(sorted(known | {name.casefold() for name in graph.absent})))
    denied = {name.casefold() for name in graph.absent}
    return [
        text[start:end]
        for start, end in spans
        if text[start:end].casefold() in denied and re.search(r"\ban?\s$", text[:start], re.IGNORECASE)
    ]


def spans_of(text: str, phrases: tuple[str, ...]) -> list[tuple[int, int]]:
    """Where any of the phrases stands as whole words outside quotations; the longest at each place."""
    pattern = _pattern(phrases)
    inside = quoted(text)
    return [
        (found.start(), found.end())
        for found in (pattern.finditer(text) if pattern else ())
        if not any(first <= found.start() < last for first, last in inside)
    ]


@lru_cache(maxsize=512)
def _pattern(phrases: tuple[str, ...]) -> re.Pattern[str] | None:
    ordered = sorted(filter(None, phrases), key=lambda phrase: (-len(phrase), phrase))
    if not ordered:
        return None
    return re.compile(rf"(?<![\w-])(?:{'|'.join(map(re.escape, ordered))})(?![\w-])", re.IGNORECASE)


def article(phrase: str) -> str:
    """`a` or `an`, by how the phrase begins."""
    vowel = phrase[0] in "aeiouAEIOU" and not _SOUNDS_LIKE_A_CONSONANT.match(phrase)
    spelt = re.match(r"[FHLMNRSX](-|[A-Z]|\b)", phrase)
    return "an" if vowel or spelt else "a"


def substituted(text: str, spans: Sequence[tuple[int, int]], phrase: str) -> str:
    """The text with a phrase in place of each span; an article just before it is made to fit, capitals stay."""
    for start, end in sorted(spans, reverse=True):
        before, after = text[:start], text[end:]
        new = phrase[0].upper() + phrase[1:] if _begins_sentence(before, text[start]) else phrase
        found = re.search(r"\b(an?)(\s+)$", before, re.IGNORECASE)
        if found:
            fitting = article(phrase)
            fitting = fitting.capitalize() if found[1][0].isupper() else fitting
            before = before[: found.start()] + fitting + found[2]
        text = before + new + after
    return text


def _begins_sentence(before: str, first: str) -> bool:
    return first.isupper() and (not before.strip() or before.rstrip()[-1] in ".!?")
