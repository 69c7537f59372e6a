"""What several answers to one question say together: by majority, or weighed by what each annotator gets wrong."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from annotation.answers import ANSWERS

Method = Literal["majority", "dawid_skene"]
MIN_CONFIDENCE: dict[Method, float] = {"majority": 0.6, "dawid_skene": 0.9}
"""Default confidence to settle: two votes of three by majority, and nearly certain by Dawid and Skene."""
ENOUGH_PAIRS = 100
ENOUGH_ANNOTATORS = 3
"""With fewer, what an annotator gets wrong cannot be learned from their answers."""
_ITERATIONS = 100


class Vote(NamedTuple):
    """One answer to one question."""

    pair_id: str
    annotator: str
    answer: str
    """One of `ANSWERS`."""


class Belief(NamedTuple):
    """Probability of each answer, in [0, 1], to 4 decimals.

    Unsure is an answer like the others: if it is the likeliest, people cannot tell, and an expert must.
    """

    yes: float
    no: float
    unsure: float

    @property
    def confidence(self) -> float:
        """The probability of the likelier one of yes and no."""
        return max(self.yes, self.no)

    def answer(self, min_confidence: float) -> str:
        """`yes` or `no`, or else why it is neither: `tie` or `low_confidence`."""
        if self.yes == self.no:
            return "tie" if self.confidence else "low_confidence"
        if self.confidence < min_confidence or self.confidence <= self.unsure:
            return "low_confidence"
        return "yes" if self.yes > self.no else "no"


Beliefs = dict[str, Belief]
"""Pair id to belief."""
Errors = dict[str, dict[str, dict[str, float]]]
"""Annotator to true answer to given answer to its probability."""


def choose_method(votes: Sequence[Vote]) -> Method:
    """Dawid and Skene where there is enough to learn from, else the majority.

    With planted annotators of very different care (1,000 pairs, three votes each) both get as many right, but a
    confidence of 0.9 leaves a fifth of the pairs to an expert by Dawid and Skene and almost half by majority, at the
    same precision of 0.99; with 50 pairs and fewer Dawid and Skene is more often wrong, and sure of it.
    """
    annotators = Counter(vote.pair_id for vote in votes)
    shared = sum(n >= 2 for n in annotators.values())
    enough = len({vote.annotator for vote in votes}) >= ENOUGH_ANNOTATORS and shared >= ENOUGH_PAIRS
    return "dawid_skene" if enough else "majority"


def majority(votes: Iterable[Vote]) -> Beliefs:
    """The share of each answer among the votes on a pair."""
    by_pair: dict[str, Counter[str]] = defaultdict(Counter)
    for vote in votes:
        by_pair[vote.pair_id][vote.answer] += 1
    return {
        pair: Belief(*(round(counts[answer] / counts.total(), 4) for answer in ANSWERS))
        for pair, counts in sorted(by_pair.items())
    }


def dawid_skene(votes: Iterable[Vote], known: Mapping[str, str]) -> tuple[Beliefs, Errors]:
    """Beliefs, and the error rates of every annotator, by expectation maximisation.

    Source: Dawid and Skene (1979), Maximum Likelihood Estimation of Observer Error-Rates Using the EM Algorithm.

    Args:
        votes: On one question.
        known: Pair id to the known answer; those of gold pairs, from which the error rates are learned too.
    """
    ordered = sorted(votes)
    if not ordered:
        return {}, {}
    import pandas as pd
    from crowdkit.aggregation import DawidSkene

    data = pd.DataFrame(ordered, columns=["task", "worker", "label"])
    given = set(data["label"])
    truth = {pair: answer for pair, answer in sorted(known.items()) if answer in given}
    model = DawidSkene(n_iter=_ITERATIONS)
    found = model.fit_predict_proba(data, pd.Series(truth, dtype=object) if truth else None)
    columns = {answer: found[answer].to_dict() for answer in ANSWERS if answer in given}
    beliefs = {
        pair: Belief(*(round(float(columns.get(answer, {}).get(pair, 0.0)), 4) for answer in ANSWERS))
        for pair in sorted(set(data["task"]))
    }
    return beliefs, _errors(model.errors_)


def _errors(frame: Any) -> Errors:
    """The error matrices of crowd-kit, indexed by annotator and given answer, a column a true answer."""
    errors: Errors = defaultdict(lambda: {answer: {} for answer in frame.columns})
    for (annotator, given), row in frame.sort_index().iterrows():
        for true in frame.columns:
            errors[annotator][true][given] = round(float(row[true]), 4)
    return dict(errors)
