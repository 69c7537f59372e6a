"""How good verdicts and probabilities are, as functions of the rows' weights, so that resampling is one product.

Every measure takes weights, (b, n), and gives (b,) values; weights of 1 give the measure itself, which the tests hold
against scikit-learn's. A verdict that could not be read counts as the wrong one.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from pipelines.auditing.auc import areas
from pipelines.calibration import BINS
from pipelines.training.evaluation.bootstrap import Floats, Measure
from pipelines.training.evaluation.predictions import Prediction
from schemas.reasoning import BENIGN, HARMFUL

Verdict = Callable[[Prediction], str | None]


def verdict_measures(rows: Sequence[Prediction]) -> dict[str, Measure]:
    """F1, precision and recall of `harmful`, accuracy, AUROC, calibration error and contrast-set accuracy."""
    labels, verdicts = labels_of(rows), called_harmful(rows)
    p = np.array([row.p_harmful for row in rows])
    odds = np.array([row.log_odds for row in rows])
    return {
        "f1": f1(labels, verdicts),
        "precision": lambda weights: _ratio(*_precision(labels, verdicts, weights)),
        "recall": lambda weights: _ratio(weights @ (labels * verdicts), weights @ labels),
        "accuracy": mean_of(np.asarray(labels == verdicts, dtype=np.float64)),
        "auroc": lambda weights: areas(
            odds, labels.astype(np.int64), np.zeros(len(p), dtype=np.int64), weights
        ),
        "calibration_error": calibration_error(labels, p),
        "contrast_accuracy": contrast_accuracy(rows),
    }


def labels_of(rows: Sequence[Prediction]) -> Floats:
    """1 where harmful is expected, else 0; (n,)."""
    return np.array([float(row.expected == HARMFUL) for row in rows])


def called_harmful(rows: Sequence[Prediction], verdict: Verdict = lambda row: row.verdict) -> Floats:
    """1 where the verdict is harmful, or could not be read though benign is expected; (n,)."""
    return np.array([float(_counted(row.expected, verdict(row)) == HARMFUL) for row in rows])


def _counted(expected: str, verdict: str | None) -> str:
    wrong = BENIGN if expected == HARMFUL else HARMFUL
    return verdict or wrong


def f1(labels: Floats, verdicts: Floats) -> Measure:
    """The harmonic mean of precision and recall of `harmful`; NaN where no row is harmful."""

    def of(weights: Floats) -> Floats:
        right, called = weights @ (labels * verdicts), weights @ verdicts
        harmful = weights @ labels
        return _ratio(2 * right, np.where(harmful > 0, harmful + called, 0))

    return of


def _precision(labels: Floats, verdicts: Floats, weights: Floats) -> tuple[Floats, Floats]:
    """What to divide; 0 by 1 where nothing is called harmful though something is, as scikit-learn has it."""
    called, harmful = weights @ verdicts, weights @ labels
    nothing = (called == 0) & (harmful > 0)
    return weights @ (labels * verdicts), np.where(nothing, 1.0, np.where(harmful > 0, called, 0.0))


def calibration_error(labels: Floats, p: Floats) -> Measure:
    """Expected calibration error over bins of equal width, as `pipelines.calibration` has it (Guo et al. 2017)."""
    places = np.minimum((p * BINS).astype(int), BINS - 1)
    inside = np.eye(BINS)[places]

    def of(weights: Floats) -> Floats:
        gaps = np.abs(weights @ (inside * (p - labels)[:, None]))
        return _ratio(gaps.sum(axis=1), weights.sum(axis=1))

    return of


def contrast_accuracy(rows: Sequence[Prediction]) -> Measure:
    """The share of contrast sets of which every member has the right verdict; NaN where there is no set of two.

    A set is drawn as one, so any of its members has its weight.
    """
    members: dict[str, list[int]] = {}
    for number, row in enumerate(rows):
        if row.contrast_group:
            members.setdefault(row.contrast_group, []).append(number)
    sets = [numbers for numbers in members.values() if len(numbers) > 1]
    first = np.array([numbers[0] for numbers in sets], dtype=np.int64)
    right = np.array([float(all(rows[n].verdict == rows[n].expected for n in numbers)) for numbers in sets])

    def of(weights: Floats) -> Floats:
        drawn = weights[:, first]
        return _ratio(drawn @ right, drawn.sum(axis=1))

    return of


def mean_of(values: npt.ArrayLike) -> Measure:
    """The mean of the values that are not NaN."""
    given = np.asarray(values, dtype=np.float64)
    known = ~np.isnan(given)
    filled = np.where(known, given, 0.0)
    return lambda weights: _ratio(weights @ filled, weights @ known.astype(np.float64))


def gain_over_one_modality(rows: Sequence[Prediction]) -> Measure:
    """F1 on whole pairs above the better F1 of the same model without the text and without the image."""
    labels = labels_of(rows)
    whole = f1(labels, called_harmful(rows))
    alone = [f1(labels, called_harmful(rows, lambda row: row.image_only))]
    alone.append(f1(labels, called_harmful(rows, lambda row: row.text_only)))
    return lambda weights: whole(weights) - np.maximum(*(one(weights) for one in alone))


def _ratio(above: Floats, below: Floats) -> Floats:
    return np.divide(above, below, out=np.full(len(below), np.nan), where=below > 0)
