"""Leak checks: is something of one split, or nearly it, also in another?"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence, Set

from pipelines.auditing.limits import Limits
from pipelines.auditing.pictures import Pictures
from pipelines.auditing.results import DIGITS, Check
from pipelines.auditing.rows import Rows
from pipelines.stages.clusters import Link, Sketch, image_sketch, near_images, near_texts, text_sketch
from schemas.records import SPLITS

WORDS = 8
"""Of an n-gram; shorter texts count as one."""
MOSTLY = 0.7
ORIGIN = "train"

Near = Callable[[list[Sketch], list[Sketch]], list[Link]]
"""Links between the sketches of two splits."""


def check_leaks(rows: Rows, pictures: Pictures, limits: Limits) -> Iterator[Check]:
    """Copies, shared clusters and repeated words across splits."""
    yield _copies(
        "exact_images", "Images of the same bytes in two splits", _spread(pictures.images, rows), limits
    )
    yield _copies(
        "exact_texts", "Texts of the same words in two splits", _spread(_folded(rows), rows), limits
    )
    yield _copies("near_images", _near_title(rows, "image"), near_image_copies(rows, pictures), limits)
    yield _copies("near_texts", _near_title(rows, "text"), near_text_copies(rows), limits)
    for modality in ("image", "text"):
        shared = _spread(rows.columns[f"{modality}_cluster"], rows)
        yield _copies(
            f"{modality}_clusters", f"Clusters of {modality}s with members in two splits", shared, limits
        )
    yield _overlap(rows, "text", limits.text_overlap)
    yield _overlap(rows, "rationale", limits.rationale_overlap)


def near_image_copies(rows: Rows, pictures: Pictures) -> list[str]:
    """Ids of images with another within the PDQ distance of the configuration in another split."""
    hashes = {
        id: pictures.found[digest].pdq
        for id, digest in zip(rows.columns["image_id"], pictures.images, strict=True)
        if pictures.found[digest].pdq
    }
    sides = _by_split({id: image_sketch(id, pdq) for id, pdq in hashes.items()}, rows, "image_id")
    return _across(sides, lambda one, other: near_images(one, other, rows.dedupe.image_distance))


def near_text_copies(rows: Rows) -> list[str]:
    """Ids of texts with another of at least the similarity of the configuration in another split."""
    similarity = rows.dedupe.text_similarity
    texts = dict(zip(rows.columns["text_id"], rows.columns["text"], strict=True))
    sides = _by_split({id: text_sketch(id, text, similarity) for id, text in texts.items()}, rows, "text_id")
    return _across(sides, lambda one, other: near_texts(one, other, similarity))


def ngrams(text: str) -> set[tuple[str, ...]]:
    """Casefolded n-grams of words; of a shorter text all its words, as one."""
    words = re.findall(r"\w+", text.casefold())
    return {tuple(words[i : i + WORDS]) for i in range(max(1, len(words) - WORDS + 1))} if words else set()


def overlap(texts: Sequence[str], splits: Sequence[str]) -> dict[str, float]:
    """Split to the share of its distinct texts that train mostly has, too.

    Such is a text with at least MOSTLY of its n-grams in train: the rule of PaLM (Chowdhery et al. 2022, section 8).
    """
    of_split: dict[str, set[str]] = {split: set() for split in SPLITS}
    for text, split in zip(texts, splits, strict=True):
        if text:
            of_split[split].add(text)
    seen = {gram for text in of_split.pop(ORIGIN) for gram in ngrams(text)}
    return {
        split: round(sum(_is_seen(text, seen) for text in found) / len(found), DIGITS)
        for split, found in of_split.items()
        if found
    }


def _is_seen(text: str, seen: Set[tuple[str, ...]]) -> bool:
    grams = ngrams(text)
    return bool(grams) and len(grams & seen) >= MOSTLY * len(grams)


def _overlap(rows: Rows, column: str, limit: float | None) -> Check:
    found = overlap([text or "" for text in rows.columns[column]], rows.columns["split"])
    worst = max(found.values(), default=0.0)
    listed = ", ".join(f"{split} {share:.1%}" for split, share in found.items()) or "there is no other split"
    mostly = f"{MOSTLY:.0%} of their {WORDS}-grams"
    reason = f"Share of each split's {column}s with at least {mostly} in train: {listed}."
    passed = limit is None or worst <= limit
    title = f"{column.capitalize()}s with {mostly} in train, worst split"
    bounds = {} if limit is None else {"at_most": limit}
    return Check("leaks", f"{column}_overlap", title, passed, worst, None, bounds, reason)


def _copies(name: str, title: str, found: Sequence[str], limits: Limits) -> Check:
    limit = limits.near_copies
    passed = limit is None or len(found) <= limit
    reason = f"{len(found)} found, the first is {found[0][:16]}." if found else "None found."
    bounds = {} if limit is None else {"at_most": limit}
    return Check("leaks", name, title, passed, len(found), None, bounds, reason)


def _near_title(rows: Rows, modality: str) -> str:
    near = (
        f"within PDQ distance {rows.dedupe.image_distance}"
        if modality == "image"
        else f"of word 3-shingle similarity {rows.dedupe.text_similarity:g} or more"
    )
    return f"{modality.capitalize()}s with another {near} in another split"


def _folded(rows: Rows) -> list[str]:
    return [" ".join(text.casefold().split()) for text in rows.columns["text"]]


def _spread(values: Iterable[str], rows: Rows) -> list[str]:
    """Values that are in more than one split, sorted."""
    pairs = set(zip(values, rows.columns["split"], strict=True))
    counts = Counter(value for value, _ in pairs if value)
    return sorted(value for value, splits in counts.items() if splits > 1)


def _by_split(sketches: Mapping[str, Sketch], rows: Rows, column: str) -> list[list[Sketch]]:
    ids: dict[str, set[str]] = {split: set() for split in SPLITS}
    for id, split in zip(rows.columns[column], rows.columns["split"], strict=True):
        ids[split].add(id)
    return [[sketches[id] for id in sorted(ids[split] & sketches.keys())] for split in SPLITS]


def _across(sides: Sequence[list[Sketch]], near: Near) -> list[str]:
    """Ids that have a near copy in a later split, or in an earlier one."""
    found: set[str] = set()
    for place, one in enumerate(sides):
        for other in sides[place + 1 :]:
            found |= {link.id for link in near(one, other)} if one and other else set()
    return sorted(found)
