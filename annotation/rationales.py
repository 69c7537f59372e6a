"""Which of the rationales of a pair is shown first; none is thrown away."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

from schemas.records import Annotation

_IMAGE = re.compile(
    r"\b(?:image|picture|photo|photograph|drawing|shows?|shown|depicts?|seen)\b", re.IGNORECASE
)
_TEXT = re.compile(
    r"\b(?:text|caption|words?|sentence|message|says?|tells?|asks?|calls?|suggests?|offers?|invites?|urges?)\b",
    re.IGNORECASE,
)


def names_both(rationale: str) -> bool:
    """Whether a rationale speaks of the image and of the text, in English; emergent harm needs both."""
    return bool(_IMAGE.search(rationale) and _TEXT.search(rationale))


def preferred(
    annotations: Iterable[Annotation], hazard: str, mechanism: str, reliability: Mapping[str, float]
) -> str:
    """The rationale to show, of annotators who found the pair harmful; empty if there is none.

    An expert's comes before others; then, in this order: the adjudicated hazard, the adjudicated mechanism,
    speaking of image and text, the annotator's reliability, length, and the annotation's id.

    Args:
        annotations: Of one pair.
        hazard: The adjudicated one.
        mechanism: The adjudicated one.
        reliability: Annotator to share of right answers.
    """

    def rank(one: Annotation) -> tuple[int, bool, bool, bool, float, int, str]:
        fits = (one.hazard == hazard, one.mechanism == mechanism, names_both(one.rationale))
        return (one.round, *fits, reliability.get(one.annotator, 0.0), len(one.rationale), one.id)

    told = [one for one in annotations if one.joint_harmful == "yes" and one.rationale.strip()]
    return max(told, key=rank).rationale if told else ""
