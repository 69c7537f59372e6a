"""How well rationales are worded and grounded, from their words alone: ROUGE-L and the share that names both parts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache
from typing import Any

_SHORTEST = 3
"""Letters of a content word."""


def rouge_l(rationale: str, references: Sequence[str]) -> float:
    """The best ROUGE-L F-measure over the references, stemmed, in [0, 1]; 0 for an empty rationale (Lin 2004).

    Raises:
        ValueError: There is no reference.
    """
    if not references:
        raise ValueError("a rationale is compared with at least one reference")
    if not rationale.strip():
        return 0.0
    return max(float(_scorer().score(reference, rationale)["rougeL"].fmeasure) for reference in references)


def named(rationale: str, sayings: Sequence[str]) -> frozenset[str]:
    """Stems of the content words that a rationale shares with what is known of a part."""
    return content_words(rationale) & _all_words(sayings)


def names_both(rationale: str, image_says: Sequence[str], text_says: Sequence[str]) -> bool:
    """Whether a rationale shares a content word with what is known of the image, and another with the text.

    One word that image and text share is not enough for both. A rationale that puts the text in other words does not
    count, so the share of the references themselves is what a model can be expected to reach.
    """
    seen, read = named(rationale, image_says), named(rationale, text_says)
    return bool(seen) and bool(read) and len(seen | read) > 1


def content_words(text: str) -> frozenset[str]:
    """Stems of the words of a text that carry meaning: of three letters or more, and no stop word."""
    from rouge_score.tokenizers import DefaultTokenizer
    from sklearn.feature_extraction.text import ENGLISH_STOP_WORDS

    words = DefaultTokenizer(use_stemmer=False).tokenize(text)
    kept = [word for word in words if len(word) >= _SHORTEST and word not in ENGLISH_STOP_WORDS]
    stems = DefaultTokenizer(use_stemmer=True).tokenize(" ".join(kept))
    return frozenset(stem for stem in stems if not stem.isdigit())


def _all_words(sayings: Sequence[str]) -> frozenset[str]:
    return frozenset().union(*map(content_words, sayings))


@lru_cache
def _scorer() -> Any:
    from rouge_score.rouge_scorer import RougeScorer

    return RougeScorer(["rougeL"], use_stemmer=True)
