"""How right the machine is by people's judgement, overall and by hazard; and how many pairs people changed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

from annotation.intervals import Rate, rate
from pipelines.relabel import Adjudications, Fate, Labelled, is_settled
from schemas.taxonomy import load_taxonomy


class HumanFigures(NamedTuple):
    """What people found about a dataset that a machine labelled."""

    status: dict[str, int]
    """`settled`, `tie`, `low_confidence` or `unannotated` to number of pairs."""
    changes: dict[str, int]
    """What changed to number of pairs; a pair can be in more than one."""
    precision: Rate
    """Of the settled pairs that the machine calls emergent, those that people do."""
    precision_by_hazard: dict[str, Rate]
    """The same by the machine's hazard."""
    benign_precision: Rate
    """Of the settled pairs that the machine calls benign, those that people do."""

    def as_json(self) -> dict[str, Any]:
        """The figures as plain data."""
        hazards = {name: one._asdict() for name, one in self.precision_by_hazard.items()}
        rates = {name: getattr(self, name)._asdict() for name in ("precision", "benign_precision")}
        return {"status": self.status, "changes": self.changes, **rates, "precision_by_hazard": hazards}


def human_figures(
    pairs: Sequence[Labelled], adjudications: Adjudications, found: Mapping[str, Fate]
) -> HumanFigures:
    """Compare the machine's labels with people's.

    Args:
        pairs: As the machine labelled them.
        adjudications: By pair id.
        found: The fate of every pair.
    """
    settled = [pair for pair in pairs if is_settled(adjudications.get(pair.id))]
    emergent = [
        (pair.hazard, verdict(adjudications, pair.id) == "emergent") for pair in settled if pair.label
    ]
    benign = [verdict(adjudications, pair.id) == "benign" for pair in settled if not pair.label]
    hazards = [name for name in load_taxonomy().hazards if any(hazard == name for hazard, _ in emergent)]
    by_hazard = {name: [right for hazard, right in emergent if hazard == name] for name in hazards}
    return HumanFigures(
        status=_status(pairs, adjudications),
        changes=_changes(pairs, found),
        precision=rate(sum(right for _, right in emergent), len(emergent)),
        precision_by_hazard={name: rate(sum(right), len(right)) for name, right in by_hazard.items()},
        benign_precision=rate(sum(benign), len(benign)),
    )


def verdict(adjudications: Adjudications, pair_id: str) -> str:
    """What people say of a settled pair: `emergent`, `benign` or `harmful_alone`."""
    found = adjudications[pair_id]
    if "yes" in (found.image_harmful, found.text_harmful):
        return "harmful_alone"
    return "emergent" if found.joint_harmful == "yes" else "benign"


def _status(pairs: Iterable[Labelled], adjudications: Adjudications) -> dict[str, int]:
    counts = Counter(
        adjudications[pair.id].status if pair.id in adjudications else "unannotated" for pair in pairs
    )
    return dict(sorted(counts.items()))


def _changes(pairs: Iterable[Labelled], found: Mapping[str, Fate]) -> dict[str, int]:
    """Pairs whose label, hazard, mechanism or contrast set is another one, and those that left."""
    counts = dict.fromkeys(
        ("to_benign", "to_emergent", "excluded", "hazard", "mechanism", "contrast_set", "any"), 0
    )
    for pair in pairs:
        fate = found[pair.id]
        both = bool(fate.label and pair.label) and not fate.excluded
        changed = {
            "to_benign": not fate.excluded and fate.label < pair.label,
            "to_emergent": not fate.excluded and fate.label > pair.label,
            "excluded": bool(fate.excluded),
            "hazard": both and fate.hazard != pair.hazard,
            "mechanism": both and fate.mechanism != pair.mechanism,
            "contrast_set": not fate.excluded and fate.contrast_group != pair.contrast_group,
        }
        for name, is_so in {**changed, "any": any(changed.values())}.items():
            counts[name] += is_so
    return counts
