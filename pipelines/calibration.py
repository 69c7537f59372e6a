"""Calibration of a judge's probabilities: temperature, thresholds, and how far off they are. Pure functions.

Every logit is divided by a temperature and shifted by an offset, so that the order of the pairs stays as it is:
temperature scaling after Guo et al., "On Calibration of Modern Neural Networks" (2017), with the offset of Platt (1999)
for a judge that sees harm too often or too rarely.
"""

from __future__ import annotations

import hashlib
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
BINS = 15
TEMPERATURES = (0.05, 20.0)
OFFSET = 10.0
"""The ranges that are searched, and that the configuration accepts."""
_EDGE = 1e-7
"""Probabilities are clipped this far from 0 and 1 before the logit; float32 holds no more."""


class Bin(NamedTuple):
    """Pairs of similar probability: how many, their mean probability, and the share that is harmful."""

    size: int
    confidence: float
    harmful: float


class Thresholds(NamedTuple):
    """From where on a pair counts as harmful, and up to where as benign; None where no value is good enough."""

    min_joint: float | None
    max_benign: float | None


class Scaling(NamedTuple):
    """What a judge's logits are changed by: logit / temperature + offset."""

    temperature: float = 1.0
    offset: float = 0.0

    def of(self, p: float) -> float:
        """One probability, calibrated; the neutral scaling leaves it as it is."""
        return p if self == NEUTRAL else float(self.all(np.array([p]))[0])

    def all(self, p: Floats) -> Floats:
        """Many probabilities, calibrated."""
        scaled = _logits(p) / self.temperature + self.offset
        calibrated: Floats = 1 / (1 + np.exp(-scaled))
        return calibrated


NEUTRAL = Scaling()


def _logits(p: Floats) -> Floats:
    clipped = np.clip(p, _EDGE, 1 - _EDGE)
    logits: Floats = np.log(clipped / (1 - clipped))
    return logits


def log_loss(p: Floats, labels: Floats) -> float:
    """Mean negative log-likelihood of labels (0 or 1), in nats."""
    clipped = np.clip(p, _EDGE, 1 - _EDGE)
    return float(-np.mean(labels * np.log(clipped) + (1 - labels) * np.log(1 - clipped)))


def fit_scaling(p: Floats, labels: Floats) -> Scaling:
    """The scaling of the least log loss, rounded to 3 decimals; its temperature lies within `TEMPERATURES`."""
    from scipy.optimize import minimize

    def loss(parameters: Floats) -> float:
        return log_loss(Scaling(float(np.exp(parameters[0])), float(parameters[1])).all(p), labels)

    bounds = [tuple(np.log(TEMPERATURES)), (-OFFSET, OFFSET)]
    found = minimize(loss, np.zeros(2), method="L-BFGS-B", bounds=bounds)
    return Scaling(round(float(np.exp(found.x[0])), 3), round(float(found.x[1]), 3))


def reliability(p: Floats, labels: Floats, bins: int = BINS) -> list[Bin]:
    """Bins of equal width over [0, 1], from the lowest up; an empty one has zeros."""
    places = np.minimum((p * bins).astype(int), bins - 1)
    found = []
    for place in range(bins):
        inside = places == place
        size = int(inside.sum())
        means = (float(p[inside].mean()), float(labels[inside].mean())) if size else (0.0, 0.0)
        found.append(Bin(size, *means))
    return found


def expected_calibration_error(p: Floats, labels: Floats, bins: int = BINS) -> float:
    """The mean distance of confidence and accuracy over the bins, weighted by their counts (Guo et al., eq. 3)."""
    gaps = [one.size * abs(one.confidence - one.harmful) for one in reliability(p, labels, bins)]
    return sum(gaps) / len(p)


FEWEST = 20
"""Harmful pairs, and benign ones, that each part must have."""
EVEN = 0.5
"""The probability of even odds."""


def fit_thresholds(p: Floats, labels: Floats, precision: float) -> Thresholds:
    """The widest thresholds at which that share of what is called harmful (or benign) is, on these pairs.

    Harmful begins at even odds at the lowest, and benign ends there at the highest, so that no pair is both: a judge
    that tells all of these pairs apart would else reach any share with thresholds that overlap.
    """
    benign = _lowest(1 - p, 1 - labels, precision, EVEN + 1e-4)
    return Thresholds(_lowest(p, labels, precision, EVEN), None if benign is None else round(1 - benign, 4))


def _lowest(p: Floats, labels: Floats, precision: float, floor: float) -> float | None:
    """The lowest probability, from `floor` up, from which on at least that share is positive, at 4 decimals."""
    above = p >= floor
    p, labels = p[above], labels[above]
    order = np.argsort(-p, kind="stable")
    shares = np.cumsum(labels[order]) / np.arange(1, len(p) + 1)
    # A threshold takes all pairs of one probability or none of them.
    last_of_ties = np.diff(p[order], append=-1.0) != 0
    good = np.flatnonzero((shares >= precision) & last_of_ties)
    if not len(good):
        return None
    if good[-1] == len(p) - 1:
        return floor
    return max(floor, float(np.floor(p[order][good[-1]] * 1e4) / 1e4))


def is_fitting(id: str, share: float) -> bool:
    """Whether a pair is fitted on, by hash of its id; the others are measured on."""
    return int(hashlib.sha256(f"calibrate:{id}".encode()).hexdigest()[:8], 16) / 2**32 < share


class Calibration(NamedTuple):
    """What was fitted on one part of the pairs, and how it does on the other."""

    scaling: Scaling
    thresholds: Thresholds
    fitted_on: int
    before: Floats
    """Probabilities of the pairs that were not fitted on, as the judge gave them."""
    after: Floats
    labels: Floats
    """Of the pairs that were not fitted on: 1 is harmful."""

    def errors(self) -> dict[str, tuple[float, float]]:
        """Before and after, of the pairs that were not fitted on."""
        measures = {"expected calibration error": expected_calibration_error, "log loss": log_loss}
        return {
            name: (measure(self.before, self.labels), measure(self.after, self.labels))
            for name, measure in measures.items()
        }


def calibrate(ids: list[str], p: Floats, labels: Floats, *, share: float, precision: float) -> Calibration:
    """Fit on a share of the pairs and measure on the rest.

    Raises:
        ValueError: Either part has too few harmful or benign pairs.
    """
    fit = np.array([is_fitting(id, share) for id in ids])
    for name, part in (("fitted on", fit), ("measured on", ~fit)):
        harmful, benign = int(labels[part].sum()), int((1 - labels[part]).sum())
        if min(harmful, benign) < FEWEST:
            raise ValueError(
                f"the {int(part.sum())} pairs {name} are {harmful} harmful and {benign} benign ones; label more, so "
                f"that there are at least {FEWEST} of each"
            )
    scaling = fit_scaling(p[fit], labels[fit])
    thresholds = fit_thresholds(scaling.all(p[fit]), labels[fit], precision)
    after = scaling.all(p[~fit])
    return Calibration(scaling, thresholds, int(fit.sum()), p[~fit], after, labels[~fit])
