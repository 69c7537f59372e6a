"""Shortcut probes: can harm be told from one modality, or from where a row came from? It must not.

A probe is cross-validated inside train, no asset in two folds, and fitted on train and asked about test.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from pipelines.auditing.auc import Area, area
from pipelines.auditing.features import Probe
from pipelines.auditing.folds import cells, fold_of, numbered, separable
from pipelines.auditing.limits import Limits
from pipelines.auditing.results import DIGITS, Check
from pipelines.auditing.rows import Rows

LEAST = 20
"""Rows of each label that a split needs for a probe to say something."""

Ints = npt.NDArray[np.int64]
Mask = npt.NDArray[np.bool_]


class Design(NamedTuple):
    """What the probes need to know of the rows, without what they see of them; all (n,)."""

    labels: Ints
    split: npt.NDArray[np.str_]
    assets: dict[str, npt.NDArray[np.str_]]
    """Modality to the near-duplicate cluster of each row's asset."""
    contrast: Ints
    usable: Mask

    def where(self, split: str) -> Ints:
        """The usable rows of a split."""
        return np.flatnonzero((self.split == split) & self.usable)

    def too_few(self, rows: Ints) -> str:
        """Why rows do not suffice for a probe, or nothing."""
        harmful = int(self.labels[rows].sum())
        benign = len(rows) - harmful
        if min(harmful, benign) >= LEAST:
            return ""
        return f"there are {harmful} harmful and {benign} benign pairs, and a probe needs {LEAST} of each"


def design_of(rows: Rows, usable: Iterable[bool]) -> Design:
    """The design of a dataset; rows that are not usable are left out of every probe."""
    assets = {}
    for modality in ("image", "text"):
        cluster, id = rows.array(f"{modality}_cluster"), rows.array(f"{modality}_id")
        assets[modality] = np.where(cluster == "", id, cluster)
    contrast = numbered(rows.array("contrast_group"))
    labels, split = rows.array("label").astype(np.int64), rows.array("split")
    return Design(labels, split, assets, contrast, np.array(list(usable), dtype=bool))


def run_probe(probe: Probe, design: Design, limits: Limits, seed: str) -> Iterator[Check]:
    """Two checks: the probe inside train, and the probe of train on test."""
    train, test = design.where("train"), design.where("test")
    where = {"train": "cross-validated in train", "test": "fitted on train, asked about test"}
    for name, rows in (("train", train), ("test", test)):
        check = f"{probe.name}_probe_{name}"
        title = f"AUC of {probe.title}, {where[name]}"
        if why := design.too_few(train) or design.too_few(rows):
            reason = f"Not measurable: {why}."
            yield Check("shortcuts", check, title, False, None, None, limit_of(probe, limits), reason)
        elif name == "train":
            yield judge(probe, check, title, _within(probe, design, train, seed), limits)
        else:
            yield judge(probe, check, title, _across(probe, design, train, test, seed), limits)


def judge(probe: Probe, name: str, title: str, found: Area, limits: Limits) -> Check:
    """Hold an AUC against its limits."""
    value, low, high = (round(number, DIGITS) for number in found)
    limit = limit_of(probe, limits)
    failed = [_SAID[key] for key, bound in limit.items() if _BREAKS[key](value, low, high, bound)]
    seen = f"From {probe.title} a probe tells harmful from benign with an AUC of {value:.3f} ({low:.3f} to {high:.3f})"
    reason = f"{seen}; {' and '.join(failed) or 'within the limits'}."
    return Check("shortcuts", name, title, not failed, value, (low, high), limit, reason)


_BREAKS: dict[str, Any] = {
    "at_least": lambda value, low, high, bound: value < bound,
    "at_most": lambda value, low, high, bound: value > bound,
    "interval_at_least": lambda value, low, high, bound: low < bound,
    "interval_at_most": lambda value, low, high, bound: high > bound,
}
_SAID = {
    "at_least": "that is under the limit",
    "at_most": "that is over the limit",
    "interval_at_least": "the interval reaches too low",
    "interval_at_most": "the interval reaches too high",
}


def limit_of(probe: Probe, limits: Limits) -> dict[str, float]:
    """The bounds of a probe's AUC. Far below 0.5 is a shortcut too, for whoever turns the answer round."""
    if probe.joint:
        return {} if limits.joint_auc is None else {"at_least": limits.joint_auc}
    bounds: dict[str, float] = {}
    for prefix, most in (("", limits.single_auc), ("interval_", limits.single_auc_interval)):
        if most is not None:
            bounds |= {f"{prefix}at_most": most, f"{prefix}at_least": round(1 - most, DIGITS)}
    return bounds


def _within(probe: Probe, design: Design, rows: Ints, seed: str) -> Area:
    contrast = design.contrast[rows]
    found = []
    for modality in probe.sees:
        asset = numbered(design.assets[modality][rows])
        groups = separable(asset, contrast) if len(probe.sees) == 1 else asset
        found.append(fold_of(groups, design.assets[modality][rows].tolist()))
    scores, strata = np.zeros(len(rows)), np.zeros(len(rows), dtype=np.int64)
    for number, cell in enumerate(cells(found)):
        strata[cell.held_out] = number
        scores[cell.held_out] = _scores(probe, design.labels, rows[cell.fit], rows[cell.held_out])
    return area(
        scores, design.labels[rows], strata, _drawn(probe, design, rows), f"{seed} {probe.name} train"
    )


def _across(probe: Probe, design: Design, train: Ints, test: Ints, seed: str) -> Area:
    scores = _scores(probe, design.labels, train, test)
    strata = np.zeros(len(test), dtype=np.int64)
    return area(scores, design.labels[test], strata, _drawn(probe, design, test), f"{seed} {probe.name} test")


def _drawn(probe: Probe, design: Design, rows: Ints) -> Ints:
    """What a resample draws: the assets of a probe that sees one modality, or else contrast sets.

    All rows of an asset have one score, so drawing less than the asset would make the interval too narrow.
    """
    if len(probe.sees) == 1:
        return numbered(design.assets[probe.sees[0]][rows])
    return design.contrast[rows]


def _scores(probe: Probe, labels: Ints, fit: Ints, held_out: Ints) -> npt.NDArray[np.float64]:
    """Scores of held-out rows, to 6 decimals; all 0 if the fit has rows of one label only."""
    if len(set(labels[fit].tolist())) < 2:
        return np.zeros(len(held_out))
    from threadpoolctl import threadpool_limits

    # One thread sums in one order; and these fits are too small for more.
    with threadpool_limits(1):
        model = probe.make().fit(probe.features[fit], labels[fit])
        found = np.asarray(model.decision_function(probe.features[held_out]), dtype=np.float64)
    return found.round(6)
