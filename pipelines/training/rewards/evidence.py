"""What there is to name in a picture and in a text, and how much of it somebody names."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import lru_cache

from pipelines.training.examples import Example
from pipelines.training.rewards.wording import content_of, is_content, own_words, words_of
from schemas.reasoning import PROMPT

COPIED_RUN = 5
"""Words in a row that count as a copy of the text or the prompt, not as a word of one's own."""
_PARTS = re.compile(r"[.,;:!?\n()]|\band\b|\bwhile\b")
_ABOUT_THE_TEXT = frozenset(("text", "caption", "message", "sentence", "words", "says", "reads", "writes"))

Fact = frozenset[str]
"""The stems that name one thing."""


@lru_cache(maxsize=4096)
def facts_of(saying: str) -> tuple[Fact, ...]:
    """The things that a caption or a list names: runs of content words, each once.

    `a picture of a beer mug in a park` has the facts {beer, mug} and {park}.
    """
    facts: list[Fact] = []
    for part in _PARTS.split(saying.casefold()):
        run: list[str] = []
        for word in [*words_of(part), "the"]:
            if is_content(word):
                run.append(word)
            elif run:
                facts.append(content_of(run))
                run = []
    return tuple(dict.fromkeys(facts))


def named(said: str, example: Example) -> frozenset[str]:
    """The stems that somebody wrote who answered about an example, without what is copied from prompt or text."""
    sources = (example.text, PROMPT.format(text=example.text))
    return content_of(own_words(said, sources, COPIED_RUN))


def image_share(stems: frozenset[str], example: Example) -> float:
    """How fully the stems name a thing in the picture that matters, 0 to 1.

    Where there are references, only what one of them names matters, else everything in the picture: a setting that
    has nothing to do with the harm is no evidence of it.
    """
    facts = [fact for saying in example.image_says for fact in facts_of(saying)]
    told = content_of(word for reference in example.references for word in words_of(reference))
    mattering = [fact for fact in facts if fact & told] or facts
    return max((len(fact & stems) / len(fact) for fact in mattering), default=0.0)


def text_share(stems: frozenset[str], example: Example, enough: int = 2) -> float:
    """How far the stems name what the text says or does, 0 to 1; `enough` of its words count as all.

    The words are those of the text, and of what references say about the text (people tell what a text does in other
    words than its own), without those that are in the picture too.
    """
    evidence = text_evidence(example)
    return min(1.0, len(stems & evidence) / min(enough, len(evidence))) if evidence else 0.0


def text_evidence(example: Example) -> frozenset[str]:
    """The stems that tell what the text says or does and nothing of the picture."""
    pictured = frozenset().union(*(fact for saying in example.image_says for fact in facts_of(saying)))
    told = (word for reference in example.references for word in _of_the_text(reference))
    said = (word for saying in example.text_says for word in words_of(saying))
    return (content_of(said) | content_of(told)) - pictured


def _of_the_text(reference: str) -> Iterable[str]:
    """The words of the clauses that mention the text."""
    clauses: Sequence[list[str]] = [words_of(part) for part in _PARTS.split(reference.casefold())]
    return [word for clause in clauses if _ABOUT_THE_TEXT & set(clause) for word in clause]
