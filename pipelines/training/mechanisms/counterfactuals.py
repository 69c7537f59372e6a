"""Masked-evidence counterfactuals: without the evidence no harm may be found, without anything else it must be.

After DeFacto (arXiv 2509.20912), which pays abstaining where the evidence is masked and answering where another
region is; here abstaining is the verdict `benign`, the only one beside `harmful`. The two copies of a pair come
together and are masked to the same extent, so that a masked box by itself says nothing about the verdict.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from pipelines.training.regions import Masks, masked
from schemas.reasoning import BENIGN, HARMFUL, Answer, parse

if TYPE_CHECKING:
    from datasets import Dataset

EVIDENCE_MASKED, OTHER_MASKED = "evidence_masked", "other_masked"
"""Roles of the copies, in the column `role`."""


def counterfactual_rows(row: Mapping[str, Any], masks: Masks) -> list[dict[str, Any]]:
    """Two rows from a harmful one: evidence masked and so benign, and another region masked and so as before.

    They are each other's contrast partners. What was known to be in the picture is not claimed of a copy whose
    evidence is masked. All other columns are kept.

    Args:
        row: The columns of `Example` and a decoded `image`.
        masks: What to mask.

    Raises:
        ValueError: The row is not harmful.
    """
    if row["verdict"] != HARMFUL:
        raise ValueError(f"pair {row['id']} is {row['verdict']}: only harmful pairs have evidence to mask")
    without: dict[str, Any] = {"image": masked(row["image"], masks.evidence), "role": EVIDENCE_MASKED}
    without |= {"verdict": BENIGN, "hazard": "", "mechanism": "", "references": [], "image_says": []}
    other: dict[str, Any] = {"image": masked(row["image"], masks.elsewhere), "role": OTHER_MASKED}
    group = f"{row['id']}:masked"
    return [
        {**row, **made, "id": f"{row['id']}:{made['role']}", "contrast_group": group}
        for made in (without, other)
    ]


def with_counterfactuals(examples: Dataset, masks: Mapping[str, Masks], share: float) -> Dataset:
    """A training set followed by the counterfactual copies of a share of its pairs that can be masked.

    Args:
        examples: Columns `id`, `verdict`, `image` and the others of `Example`; others are copied.
        masks: By pair id, as `regions.masks_of` gives them.
        share: In 0..1, of the pairs that can be masked; which ones is decided by the hashes of their ids.
    """
    from datasets import Dataset, concatenate_datasets

    ids = list(examples["id"])
    known = [number for number, id in enumerate(ids) if id in masks]
    chosen = sorted(known, key=lambda number: _rank(ids[number]))[: round(share * len(known))]
    rows = (examples[number] for number in sorted(chosen))
    made = [copy for row in rows for copy in counterfactual_rows(row, masks[row["id"]])]
    if not made:
        return examples
    return concatenate_datasets([examples, Dataset.from_list(made, features=examples.features)])


def keeps_faith(role: str, verdict: str, answer: Answer | None) -> bool | None:
    """Whether an answer is what a masked copy asks for; None for a row that is no masked copy.

    An answer that departs from the form is never right: it shows neither that harm was found nor that it was not.

    Args:
        role: Of the row.
        verdict: The row's, which for another region masked is that of the whole picture.
        answer: As parsed.
    """
    if role not in (EVIDENCE_MASKED, OTHER_MASKED):
        return None
    expected = BENIGN if role == EVIDENCE_MASKED else verdict
    return answer is not None and answer.verdict == expected


def counterfactual_reward(
    completions: Sequence[Any], role: Sequence[str], verdict: Sequence[str], **_: Any
) -> list[float | None]:
    """A reward function of TRL: 1 for the answer that a masked copy asks for, 0 for any other, None elsewhere."""
    answers = [parse(completion[0]["content"]) for completion in completions]
    kept = [
        keeps_faith(asked, expected, reasoned.answer if reasoned else None)
        for asked, expected, reasoned in zip(role, verdict, answers, strict=True)
    ]
    return [None if right is None else float(right) for right in kept]


def _rank(id: str) -> str:
    return hashlib.sha256(f"counterfactual {id}".encode()).hexdigest()
