"""What becomes of each pair when people have spoken: its label, role and contrast set, or why it leaves the dataset.

Pure: pairs and adjudications in, a `Fate` for each pair out.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from schemas.records import Adjudication
from schemas.taxonomy import CLOSED_HAZARDS

Adjudications = Mapping[str, Adjudication]


class Labelled(NamedTuple):
    """What the machine says of a written pair; the names are those of its columns."""

    id: str
    label: int
    role: str
    hazard: str
    mechanism: str
    contrast_group: str
    rationale: str
    image_id: str
    text_id: str


class Fate(NamedTuple):
    """What a pair is after people have spoken."""

    label: int
    role: str
    hazard: str
    mechanism: str
    contrast_group: str
    rationale: str
    excluded: str = ""
    """Why it leaves the dataset: a reason code; empty if it stays."""
    decided_in: str = ""
    """The pair in which people called the image or text harmful, if it leaves for that."""


def fates(pairs: Sequence[Labelled], adjudications: Adjudications) -> dict[str, Fate]:
    """Decide every pair, by id.

    - An image or a text that people call harmful alone takes out its pair, and every other pair with it that
      people have not settled otherwise. So does a hazard that is closed.
    - A settled pair has people's label; every other one keeps the machine's.
    - A harmful pair is emergent and heads a contrast group of its own. Benign partners stay in the group of an
      emergent pair that still is one. If people found the head benign and a partner harmful, the head becomes that
      partner's contrast partner, since the two still differ in one part only. All other partners are plain benign
      pairs.
    """
    leaving = _leaving(pairs, adjudications)
    kept = [pair for pair in pairs if pair.id not in leaving]
    harmful = {pair.id for pair in kept if _is_harmful(pair, adjudications.get(pair.id))}
    placed = _placed(kept, harmful)
    spoken = {pair.id: _spoken(pair, adjudications.get(pair.id)) for pair in kept if pair.id in harmful}
    found = {
        pair.id: Fate(*pair[1:7], excluded=reason, decided_in=decided_in)
        for pair in pairs
        if pair.id in leaving
        for reason, decided_in in (leaving[pair.id],)
    }
    return found | {pair.id: _fate(pair, *placed[pair.id], spoken) for pair in kept}


def is_settled(adjudication: Adjudication | None) -> bool:
    """Whether people have labelled a pair."""
    return adjudication is not None and adjudication.status == "settled"


def _leaving(pairs: Iterable[Labelled], adjudications: Adjudications) -> dict[str, tuple[str, str]]:
    """Pair id to reason and the pair in which people said it."""
    ordered = sorted(pairs)
    named: dict[tuple[str, str], str] = {}
    for pair in ordered:
        found = adjudications.get(pair.id)
        if found and found.image_harmful == "yes":
            named.setdefault(("image", pair.image_id), pair.id)
        if found and found.text_harmful == "yes":
            named.setdefault(("text", pair.text_id), pair.id)
    leaving = {}
    for pair in ordered:
        if reason := _reason(pair, adjudications.get(pair.id), named):
            leaving[pair.id] = reason
    return leaving


def _reason(
    pair: Labelled, found: Adjudication | None, named: Mapping[tuple[str, str], str]
) -> tuple[str, str] | None:
    for modality, id, said in (
        ("image", pair.image_id, found.image_harmful if found else ""),
        ("text", pair.text_id, found.text_harmful if found else ""),
    ):
        if said == "yes":
            return f"{modality}_harmful_alone", pair.id
        if not is_settled(found) and (modality, id) in named:
            return f"{modality}_harmful_alone", named[modality, id]
    if found and found.hazard in CLOSED_HAZARDS:
        return "closed_hazard", pair.id
    return None


def _is_harmful(pair: Labelled, found: Adjudication | None) -> bool:
    return found.joint_harmful == "yes" if found and is_settled(found) else bool(pair.label)


def _placed(kept: Iterable[Labelled], harmful: set[str]) -> dict[str, tuple[str, str]]:
    """Pair id to role and contrast group."""
    groups: dict[str, list[Labelled]] = defaultdict(list)
    for pair in kept:
        groups[pair.contrast_group or pair.id].append(pair)
    placed: dict[str, tuple[str, str]] = {}
    for group, members in groups.items():
        heirs = sorted((pair.role, pair.id) for pair in members if pair.id in harmful and pair.id != group)
        for pair in members:
            if pair.id in harmful:
                placed[pair.id] = ("emergent", pair.id)
            elif group in harmful:
                placed[pair.id] = (pair.role, group)
            elif pair.id == group and heirs:
                placed[pair.id] = heirs[0]
            else:
                placed[pair.id] = ("benign", "")
    return placed


def _spoken(pair: Labelled, found: Adjudication | None) -> tuple[str, str, str]:
    """Hazard, mechanism and rationale of a harmful pair; the machine's where people gave none."""
    if found is None or not is_settled(found):
        return pair.hazard, pair.mechanism, pair.rationale
    about = (found.hazard or pair.hazard, found.mechanism or pair.mechanism)
    machine = pair.rationale if about == (pair.hazard, pair.mechanism) and pair.label else ""
    return *about, found.rationale or machine


def _fate(pair: Labelled, role: str, group: str, spoken: Mapping[str, tuple[str, str, str]]) -> Fate:
    """A benign partner has the hazard and the mechanism of its emergent pair, as in a build."""
    if pair.id in spoken:
        hazard, mechanism, rationale = spoken[pair.id]
        return Fate(1, role, hazard, mechanism, group, rationale)
    rationale = "" if pair.label else pair.rationale
    if group:
        return Fate(0, role, *spoken[group][:2], group, rationale)
    about = (pair.hazard, pair.mechanism) if pair.role == "benign" else ("", "")
    return Fate(0, role, *about, group, rationale)
