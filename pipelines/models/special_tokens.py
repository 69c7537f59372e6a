"""Words that a chat template or an answer's form would take for its own, broken up in what others wrote."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any


def pattern_of(tokenizer: Any, more: Iterable[str] = ()) -> re.Pattern[str]:
    """Finds what a text would smuggle past the chat template: an image's place holder, or an end of turn.

    Args:
        tokenizer: Of transformers.
        more: Further words to find.
    """
    added = tokenizer.added_tokens_decoder.values()
    words = {token.content for token in added if token.special} | set(more)
    longest_first = sorted(words, key=lambda word: (-len(word), word))
    return re.compile("|".join(map(re.escape, longest_first)) or "(?!)")


def broken_up(text: str, found: re.Pattern[str]) -> str:
    """The text with a space after the first character of everything that a pattern finds."""
    return found.sub(lambda word: f"{word[0][0]} {word[0][1:]}", text)
