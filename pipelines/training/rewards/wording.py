"""Words of a text: what counts as content, and which of them are copied from somewhere else."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

_WORD = re.compile(r"[^\W_]+(?:['’][^\W_]+)*")
_SUFFIXES = ("ing", "ed", "es", "s")
_FUNCTION_WORDS = (
    "a an the this that these those it its he him his she her hers they them their theirs we us our you your i me my "
    "mine yours who whom whose which what where when why how and or but nor so if then than as at by for from in into "
    "of off on onto out over to up down with without about after before between under above through be is am are was "
    "were been being do does did done has have had having can could will would shall should may might must not no yes "
    "there here all any both each few more most some such only own same too very just also one somebody someone "
    "something anybody anyone anything nobody nothing everybody everyone everything is n't while because until during "
    "again once"
)
_MEDIUM_WORDS = (
    "picture image photo photograph drawing scene text caption message sentence words show shows shown showing see "
    "seen say says said saying read reads name names pair together alone result verdict rationale harm harmful benign "
    "harmless hazard danger dangerous"
)


def words_of(text: str) -> list[str]:
    """The words of a text in their order, in lower case; punctuation and white space between them do not count."""
    return _WORD.findall(text.casefold())


def stem(word: str) -> str:
    """A word without the most common English endings, so that `swallows` and `swallowing` are the same."""
    for suffix in _SUFFIXES:
        if word.endswith(suffix) and len(word) - len(suffix) >= 3:
            return word.removesuffix(suffix)
    return word.removesuffix("e") if len(word) > 3 else word


def content_of(words: Iterable[str]) -> frozenset[str]:
    """Stems of the words that mean something: no function words, none about pictures, texts and verdicts as such."""
    return frozenset(stem(word) for word in words if word not in _EMPTY)


def is_content(word: str) -> bool:
    """Whether a word in lower case means something by itself."""
    return word not in _EMPTY


def own_words(text: str, sources: Iterable[str], run: int) -> list[str]:
    """The words of a text that are not part of a copy: of `run` or more words that follow each other in a source."""
    words = words_of(text)
    known = {gram for source in sources for gram in _grams(words_of(source), run)}
    copied = {
        at + shift for at, gram in enumerate(_grams(words, run)) if gram in known for shift in range(run)
    }
    return [word for at, word in enumerate(words) if at not in copied]


def _grams(words: Sequence[str], length: int) -> list[tuple[str, ...]]:
    return [tuple(words[at : at + length]) for at in range(len(words) - length + 1)]


_EMPTY = frozenset(words_of(f"{_FUNCTION_WORDS} {_MEDIUM_WORDS}"))
