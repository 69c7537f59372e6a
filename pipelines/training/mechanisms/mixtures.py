"""Weights of a training mixture: a few seed runs, a quadratic through their scores, and its best point.

After MoDoMoDo (arXiv 2505.24871), which predicts a run's score from its mixture w as a + b.w + w'Cw and trains on
the w that promises most. As the weights sum to 1, constant and squares follow from the other terms; what is left to
fit for m domains is sum b_i w_i + sum over i < j of c_ij w_i w_j, which has m (m + 1) / 2 coefficients.
"""

from __future__ import annotations

import hashlib
import itertools
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

Weights = Mapping[str, float]
"""Domain to its share of the training set; not negative, sum 1."""
_Array = npt.NDArray[np.float64]


class SeedRun(NamedTuple):
    """A run on one mixture."""

    weights: Weights
    score: float
    """What is to be made large, such as the F1 on the validation split."""


class Fit(NamedTuple):
    """What the seed runs say together."""

    best: dict[str, float]
    """The mixture that promises most; sum 1."""
    predicted: float
    """The score that it promises."""
    residual: float
    """Root mean square of score minus fit over the runs; 0 says nothing where runs are as many as coefficients."""


def seed_mixtures(domains: Sequence[str]) -> list[dict[str, float]]:
    """The fewest mixtures that `fit` can work with: each domain alone, and each two in equal parts."""
    alone = [dict.fromkeys(domains, 0.0) | {name: 1.0} for name in domains]
    pairs = itertools.combinations(domains, 2)
    return alone + [dict.fromkeys(domains, 0.0) | {one: 0.5, other: 0.5} for one, other in pairs]


def fit(runs: Sequence[SeedRun]) -> Fit:
    """Fit the quadratic by least squares and find its best mixture.

    Raises:
        ValueError: Runs have different domains, weights that are no mixture or scores that are no numbers; there
            are fewer runs than coefficients; or the mixtures are too much alike to tell the coefficients apart.
    """
    from scipy.linalg import lstsq

    domains = _domains(runs)
    points = np.array([[run.weights[name] for name in domains] for run in runs])
    scores = np.array([run.score for run in runs])
    terms = _terms(points)
    needed = terms.shape[1]
    if len(runs) < needed:
        raise ValueError(
            f"{len(domains)} domains need at least {needed} seed runs, and there are {len(runs)}"
        )
    coefficients, _, rank, _ = lstsq(terms, scores)
    if rank < needed:
        raise ValueError(
            f"the {len(runs)} mixtures are too much alike: they determine {rank} of {needed} terms"
        )
    best = _best(coefficients, points)
    residual = float(np.sqrt(np.mean((scores - terms @ coefficients) ** 2)))
    predicted = float((_terms(best[None]) @ coefficients)[0])
    return Fit(dict(zip(domains, best.tolist(), strict=True)), predicted, residual)


def draw(domains: Sequence[str], weights: Weights, size: int | None = None) -> list[int]:
    """Row numbers of a mixed training set, in ascending order; rows repeat only where a domain has too few.

    Args:
        domains: The domain of every row.
        weights: Not negative, of any sum; a domain that is not named is left out.
        size: Of the mixed set; as many rows as there are by default.

    Raises:
        ValueError: No weight is above 0, or a domain with a weight has no rows.
    """
    rows = {name: [n for n, one in enumerate(domains) if one == name] for name in weights}
    missing = sorted(name for name, weight in weights.items() if weight > 0 and not rows[name])
    if missing or not sum(weights.values()) > 0:
        raise ValueError(f"no rows of {', '.join(missing)}" if missing else "no weight is above 0")
    counts = _shares(weights, len(domains) if size is None else size)
    return sorted(n for name, count in counts.items() for n in _picked(rows[name], name, count))


def _domains(runs: Sequence[SeedRun]) -> list[str]:
    domains = sorted(runs[0].weights) if runs else []
    if not domains:
        raise ValueError("there are no seed runs to fit")
    for run in runs:
        weights = list(run.weights.values())
        if sorted(run.weights) != domains:
            raise ValueError(f"runs have the domains {domains} and {sorted(run.weights)}")
        if min(weights) < 0 or abs(sum(weights) - 1) > 1e-6 or not np.isfinite(run.score):
            raise ValueError(f"not a mixture with a score: {dict(run.weights)}, {run.score}")
    return domains


def _terms(points: _Array) -> _Array:
    """(n, m) mixtures as (n, m (m + 1) / 2) terms: the weights, then the products of each two."""
    pairs = list(itertools.combinations(range(points.shape[1]), 2))
    products = [points[:, i] * points[:, j] for i, j in pairs]
    return np.column_stack([points, *products])


def _best(coefficients: _Array, points: _Array) -> _Array:
    """The best mixture, searched from every domain alone, each two halves, the equal mixture and the seed runs."""
    from scipy.optimize import minimize

    count = points.shape[1]
    names = [str(number) for number in range(count)]
    lattice = np.array([list(weights.values()) for weights in seed_mixtures(names)])
    starts = np.vstack([lattice, np.full((1, count), 1 / count), points])

    def loss(weights: _Array) -> float:
        return -float((_terms(weights[None]) @ coefficients)[0])

    whole = {"type": "eq", "fun": lambda weights: weights.sum() - 1}
    options = {"ftol": 1e-12, "maxiter": 200}
    found = [
        minimize(loss, start, method="SLSQP", bounds=[(0, 1)] * count, constraints=whole, options=options).x
        for start in starts
    ]
    mixtures = [np.clip(x, 0, 1) / np.clip(x, 0, 1).sum() for x in (*found, *starts)]
    return min(mixtures, key=loss)


def _shares(weights: Weights, size: int) -> dict[str, int]:
    """Whole numbers that sum to `size`, by largest remainder; of equal remainders the first by name."""
    total = sum(weights.values())
    exact = {name: size * weight / total for name, weight in sorted(weights.items())}
    counts = {name: int(part) for name, part in exact.items()}
    by_remainder = sorted(exact, key=lambda name: counts[name] - exact[name])
    for name in by_remainder[: size - sum(counts.values())]:
        counts[name] += 1
    return counts


def _picked(rows: Sequence[int], name: str, count: int) -> list[int]:
    """`count` of the rows, each as often as the next or once more, in the order of hashes."""
    order = sorted(rows, key=lambda n: hashlib.sha256(f"mixture {name} {n}".encode()).digest())
    return list(itertools.islice(itertools.cycle(order), count))
