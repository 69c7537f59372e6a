"""Whether a perturbed reasoning keeps the form, stays fluent, and really is wrong where the right one is not."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable
from typing import Any, NamedTuple

from pipelines.training.scenealign.claims import stated
from pipelines.training.scenealign.graph import Claim, SceneGraph
from pipelines.training.scenealign.naming import absentees, article, mentions, sentences, spans_of
from pipelines.training.scenealign.perturbations import Perturbed
from schemas.reasoning import Reasoned, parse, render

Scorer = Callable[[str], float]
"""The perplexity of a text, above 1."""


class Limits(NamedTuple):
    """How far a perturbed reasoning may be from the right one."""

    shortest: float = 0.1
    """Words of the reasoning, as a share of the right one's."""
    longest: float = 3.0
    fewest_words: int = 5
    perplexity: float = 2.0
    """Perplexity of the reasoning, as a multiple of the right one's, where a scorer is given."""


class Finding(NamedTuple):
    """Why a reasoning or a pair is not used."""

    reason: str
    detail: str = ""


def check_right(reasoned: Reasoned, graph: SceneGraph) -> Finding | None:
    """What speaks against the right reasoning: its form, or that it is itself wrong about the picture."""
    if parse(render(reasoned)) != reasoned:
        return Finding("malformed_right")
    said = f"{reasoned.think} {reasoned.answer.rationale}"
    there_is = absentees(said, graph)
    if there_is:
        return Finding("right_is_wrong", there_is[0])
    false = [one.claim for one in stated(said, graph) if graph.holds(one.claim) is False]
    return Finding("right_is_wrong", f"{false[0].aspect} {false[0].value}") if false else None


def check(
    right: Reasoned,
    wrong: Perturbed,
    graph: SceneGraph,
    limits: Limits = Limits(),  # noqa: B008  # A tuple never changes.
    scorer: Scorer | None = None,
) -> Finding | None:
    """The first thing that speaks against a pair; None if it may be trained on."""
    return (
        _form(right, wrong.reasoned)
        or _fluency(right, wrong.reasoned)
        or _length(right.think, wrong.reasoned.think, limits)
        or _wrongness(right, wrong, graph)
        or (_perplexity(right.think, wrong.reasoned.think, limits, scorer) if scorer else None)
    )


def _form(right: Reasoned, wrong: Reasoned) -> Finding | None:
    if wrong == right:
        return Finding("unchanged")
    if parse(render(wrong)) != wrong:
        return Finding("form", render(wrong)[:200])
    same = wrong.answer.verdict == right.answer.verdict and wrong.answer.hazard == right.answer.hazard
    return None if same else Finding("form", "another verdict")


def _fluency(right: Reasoned, wrong: Reasoned) -> Finding | None:
    """Slips that the right reasoning does not have as often."""
    for ours, theirs in ((wrong.think, right.think), (wrong.answer.rationale, right.answer.rationale)):
        new = slips(ours) - slips(theirs)
        if new:
            reason, words = next(iter(new))
            return Finding(reason, words)
    return None


def slips(text: str) -> Counter[tuple[str, str]]:
    """Slips of a text as (kind, words): doubled words, articles that do not fit, sentences that begin or end badly."""
    found = [("doubled_word", f"{one[1]} {one[1]}".lower()) for one in _DOUBLED.finditer(text)]
    found += [("article", one[0].lower()) for one in _ARTICLE.finditer(text) if _misfits(one[1], one[2])]
    found += [("punctuation", one[0]) for one in _PUNCTUATION.finditer(text)]
    for sentence in sentences(text):
        if sentence[0].islower() or sentence[-1] not in '.!?"\N{RIGHT DOUBLE QUOTATION MARK}':
            found.append(("sentence", sentence))
    opening = sentences(text)[:1]
    found += [("dangling", one) for one in opening if re.match(r"(It|Its|They|Them|Their|He|She)\b", one)]
    return Counter(found)


_DOUBLED = re.compile(r"\b(\w+)\s+\1\b", re.IGNORECASE)
_ARTICLE = re.compile(r"\b(an?)\s+([\w-]+)", re.IGNORECASE)
_PUNCTUATION = re.compile(r"\s[,.;:!?]|[,;:]\s*[,.;:]|\s{2,}")


def _misfits(said: str, word: str) -> bool:
    return said.casefold() != article(word)


def _length(right: str, wrong: str, limits: Limits) -> Finding | None:
    words, before = len(wrong.split()), len(right.split())
    fits = words >= limits.fewest_words and limits.shortest * before <= words <= limits.longest * before
    return None if fits else Finding("length", f"{words} words for {before}")


def _wrongness(right: Reasoned, wrong: Perturbed, graph: SceneGraph) -> Finding | None:
    said, before = (f"{one.think} {one.answer.rationale}" for one in (wrong.reasoned, right))
    truths = [graph.holds(claim) for claim in wrong.asserted]
    if wrong.kind == "shorten":
        told = [
            claim for claim in wrong.lost if graph.holds(claim) and not _told(claim, wrong.reasoned, graph)
        ]
        return None if told and told == list(wrong.lost) else Finding("not_wrong", "no step is missing")
    if True in truths or False not in truths or (wrong.kind != "overthink" and None in truths):
        return Finding("not_wrong", "the picture does not deny it")
    unsaid = [one.value for one in wrong.asserted if _count(one.value, said) <= _count(one.value, before)]
    if unsaid:
        return Finding("not_wrong", f"nothing says {unsaid[0]}")
    left = [one for one in wrong.lost if one in {found.claim for found in stated(said, graph)}]
    left += [one for one in wrong.asserted if one.aspect == "name" and _named(said, one.subject, graph)]
    return Finding("not_wrong", f"still says {left[0].value}") if left else None


def _told(claim: Claim, reasoned: Reasoned, graph: SceneGraph) -> bool:
    """Whether a reasoning still says something; that an object is there must be said before the answer."""
    if claim.aspect == "name":
        return _named(reasoned.think, claim.subject, graph)
    text = f"{reasoned.think} {reasoned.answer.rationale}"
    return claim in {one.claim for one in stated(text, graph)}


def _named(text: str, node: int, graph: SceneGraph) -> bool:
    return any(mention.node == node for mention in mentions(text, graph))


def _count(value: str, text: str) -> int:
    return len(spans_of(text, (value,)))


def _perplexity(right: str, wrong: str, limits: Limits, scorer: Scorer) -> Finding | None:
    before, after = scorer(right), scorer(wrong)
    return (
        None
        if after <= limits.perplexity * before
        else Finding("perplexity", f"{after:.1f} for {before:.1f}")
    )


def perplexity_scorer(model: Any, tokenizer: Any) -> Scorer:
    """Perplexity under a causal language model of transformers (or a vision-language model, without a picture).

    A text counts from its second token on; one of a single token has perplexity 1.
    """
    import torch

    @torch.inference_mode()
    def score(text: str) -> float:
        ids = tokenizer(text, return_tensors="pt")["input_ids"].to(model.device)
        if ids.shape[1] < 2:
            return 1.0
        logits = model(input_ids=ids).logits[0, :-1].float()
        return float(torch.nn.functional.cross_entropy(logits, ids[0, 1:]).exp())

    return score
