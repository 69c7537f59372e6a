"""The format gate: which completions are answers at all. What it turns away, no reward pays."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from pipelines.training.rewards.wording import own_words, words_of
from schemas.reasoning import HARMFUL, PROMPT, Reasoned, parse
from schemas.taxonomy import load_taxonomy

_LIST = re.compile(r"[,;/|\n]")
_ITEM_WORDS = 3
_LONG_ENOUGH = 20
_TAGS = re.compile(r"</?(?:think|result)>")


@dataclass(frozen=True)
class Gate:
    """Admits an answer that has the form, keeps to the caps, and is written by whoever answers.

    A label spammer, a copy of the prompt or the text, and a rambling or looping completion are turned away however
    well-formed they are. Words are runs of letters or digits, so texts in scripts without spaces need `own_words = 0`.

    Raises:
        ValueError: A cap is negative, or `copied_run` below 2.
    """

    max_think: int = 1500
    """Characters that the reasoning may have."""
    max_rationale: int = 500
    """Characters that the rationale may have."""
    own_words: int = 3
    """Different words that reasoning and (if the verdict is harmful) rationale must each have beside copies."""
    copied_run: int = 5
    """Words in a row, found in the prompt or the text, that count as a copy; shorter quotations are free."""
    max_labels: int = 2
    """Hazards that the answer may name in its reasoning and rationale, by key or title."""
    max_list: int = 6
    """Items of three words or fewer that may follow each other with only commas or the like between them."""
    min_distinct: float = 0.3
    """Share of the words that must be different, in texts of 20 words and more."""

    def __post_init__(self) -> None:
        """Check the caps."""
        caps = (self.max_think, self.max_rationale, self.own_words, self.max_labels, self.max_list)
        if min(caps) < 0 or not 0 <= self.min_distinct <= 1 or self.copied_run < 2:
            raise ValueError(f"{self} has a negative cap, a share above 1, or a `copied_run` below 2")

    def admit(self, completion: str, text: str) -> Reasoned | None:
        """Read a completion about a pair with this text; None if it is turned away."""
        reasoned = parse(completion)
        return reasoned if reasoned and not self.refusal(reasoned, text) else None

    def refusal(self, reasoned: Reasoned, text: str) -> str:
        """Why a well-formed completion is turned away; empty if it is not."""
        think, rationale = reasoned.think, reasoned.answer.rationale
        written = (think, rationale) if reasoned.answer.verdict == HARMFUL or rationale else (think,)
        if len(think) > self.max_think or len(rationale) > self.max_rationale:
            return "too long"
        if any(self._is_loop(part) for part in written):
            return "repeats itself"
        if self._labels(f"{think}\n{rationale}") > self.max_labels:
            return "names every hazard"
        if any(_longest_list(part) > self.max_list for part in written):
            return "lists words"
        if any(self._is_copy(part, text) for part in written):
            return "copies"
        return ""

    def _is_loop(self, part: str) -> bool:
        words = words_of(part)
        return len(words) >= _LONG_ENOUGH and len(set(words)) < self.min_distinct * len(words)

    def _labels(self, said: str) -> int:
        words = f" {' '.join(words_of(said))} "
        return sum(any(f" {name} " in words for name in names) for names in _hazard_names())

    def _is_copy(self, part: str, text: str) -> bool:
        return len(set(own_words(_TAGS.sub(" ", part), _asked(text), self.copied_run))) < self.own_words


def _asked(text: str) -> Iterable[str]:
    return text, PROMPT.format(text=text)


def _longest_list(part: str) -> int:
    """How many short items follow each other at most."""
    longest = current = 0
    for item in _LIST.split(part):
        current = current + 1 if len(words_of(item)) <= _ITEM_WORDS else 0
        longest = max(longest, current)
    return longest


@lru_cache(maxsize=1)
def _hazard_names() -> list[tuple[str, str]]:
    """Key and title of every hazard, as words."""
    hazards = load_taxonomy().hazards.values()
    return [(hazard.key, " ".join(words_of(hazard.title))) for hazard in hazards]
