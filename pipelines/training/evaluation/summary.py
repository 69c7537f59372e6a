"""From one model's predictions on one part to its figures: overall, by hazard, mechanism and provenance."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pipelines.calibration import reliability
from pipelines.training.evaluation.bootstrap import Estimate, Floats, Measure, difference, estimate
from pipelines.training.evaluation.faithfulness import change_measures
from pipelines.training.evaluation.measures import (
    called_harmful,
    f1,
    gain_over_one_modality,
    labels_of,
    mean_of,
    verdict_measures,
)
from pipelines.training.evaluation.predictions import Prediction
from pipelines.training.evaluation.rationales import Quality
from schemas.taxonomy import load_taxonomy

GROUPED = ("f1", "recall", "accuracy", "contrast_accuracy")
"""Measures that are shown by hazard, mechanism and provenance."""
COMPARED = ("f1", "contrast_accuracy", "auroc", "accuracy", "grounding")
"""Measures of which two models' differences are taken."""


class Figures(NamedTuple):
    """What one model reaches on one part."""

    rows: int
    harmful: int
    unparsed: int
    """Completions that departed from the form; their verdicts count as wrong."""
    contrast_sets: int
    masked: int
    """Pairs that were asked about again without their evidence."""
    controls: int
    """And with as much masked elsewhere."""
    measures: dict[str, Estimate]
    by: dict[str, dict[str, dict[str, Any]]]
    """`hazard`, `mechanism` or `provenance`, to its values, to `rows` and `measures`."""
    reliability: list[tuple[int, float, float]]
    """Of each bin of probabilities: rows, mean probability, share that is harmful."""
    notes: dict[str, int]
    """What went wrong in asking a judge about the rationales, and how often."""


def measures_of(rows: Sequence[Prediction], quality: Quality | None) -> dict[str, Measure]:
    """Everything that can be measured of a model's rows; no rationales or ablations where there are none."""
    measures = verdict_measures(rows)
    if quality is None:
        return measures
    # A benchmark may have categories of its own, which no answer can name.
    ours = load_taxonomy().hazards
    hazards = [float(row.hazard == row.predicted_hazard) if row.hazard in ours else np.nan for row in rows]
    measures |= {"well_formed": mean_of([float(row.well_formed) for row in rows]), "hazard": mean_of(hazards)}
    measures |= quality.measures()
    if rows and rows[0].image_only is not None:
        labels = labels_of(rows)
        measures["f1_image_only"] = f1(labels, called_harmful(rows, lambda row: row.image_only))
        measures["f1_text_only"] = f1(labels, called_harmful(rows, lambda row: row.text_only))
        measures["gain_over_one_modality"] = gain_over_one_modality(rows)
        measures |= change_measures(rows)
    return measures


def figures_of(rows: Sequence[Prediction], quality: Quality | None, draws: Floats) -> Figures:
    """Measure the rows of a part, with intervals from the draws of its clusters, (b, n)."""
    groups = Counter(row.contrast_group for row in rows if row.contrast_group)
    p = np.array([row.p_harmful for row in rows])
    return Figures(
        rows=len(rows),
        harmful=int(labels_of(rows).sum()),
        unparsed=sum(not row.well_formed for row in rows),
        contrast_sets=sum(size > 1 for size in groups.values()),
        masked=sum(row.masked is not None for row in rows),
        controls=sum(row.control is not None for row in rows),
        measures={name: estimate(measure, draws) for name, measure in measures_of(rows, quality).items()},
        by={name: _grouped(rows, keys, draws) for name, keys in _groupings(rows).items()},
        reliability=[
            (one.size, round(one.confidence, 4), round(one.harmful, 4))
            for one in reliability(p, labels_of(rows))
        ],
        notes=quality.notes if quality else {},
    )


def compare(one: dict[str, Measure], other: dict[str, Measure], draws: Floats) -> dict[str, Estimate]:
    """How much more the first model reaches than the second, on the same rows and draws."""
    shared = [name for name in COMPARED if name in one and name in other]
    return {name: difference(one[name], other[name], draws) for name in shared}


def _groupings(rows: Sequence[Prediction]) -> dict[str, list[str]]:
    """The hazard, mechanism and provenance of each row; a benign contrast partner has those of its harmful pair."""
    harmful = {row.contrast_group: row for row in rows if row.contrast_group and row.hazard}
    sources = [row if row.hazard else harmful.get(row.contrast_group, row) for row in rows]
    return {
        "hazard": [source.hazard for source in sources],
        "mechanism": [source.mechanism for source in sources],
        "provenance": [row.provenance for row in rows],
    }


def _grouped(rows: Sequence[Prediction], keys: Sequence[str], draws: Floats) -> dict[str, dict[str, Any]]:
    found = {}
    for key in sorted(set(keys) - {""}):
        chosen = [number for number, one in enumerate(keys) if one == key]
        measures = verdict_measures([rows[number] for number in chosen])
        part = draws[:, chosen]
        found[key] = {
            "rows": len(chosen),
            "measures": {name: estimate(measures[name], part) for name in GROUPED},
        }
    return found
