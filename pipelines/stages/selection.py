"""Which judged pairs of a split become rows: greedy, deterministic, and with a reason for every other one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from itertools import zip_longest
from typing import NamedTuple

from pipelines.stages.baselines import draw_key
from pipelines.stages.emergence import is_benign, is_emergent, parts_are_benign
from schemas.config import Select
from schemas.records import Judgement, Role

LIKELY = 0.5
"""Probability of harm from which a pair is worth contrasts: more likely harmful than not."""


class Decision(NamedTuple):
    """What becomes of one judgement: a role, or else a reason with the score and threshold behind it."""

    role: Role | None = None
    group: str = ""
    """The contrast group of a selected pair; empty for a pair that contrasts with none."""
    reason: str = ""
    score: float | None = None
    threshold: float | None = None


def ticket(judgement: Judgement) -> str:
    """Tells judgements of one pair apart: it may be a candidate, and the contrast of several anchors."""
    candidate = judgement.candidate
    return f"{candidate.id}|{candidate.method}|{candidate.anchor}"


def choose_anchors(judgements: Iterable[Judgement], config: Select) -> list[Judgement]:
    """The pairs of one split that may become emergent, whatever the thresholds: those that contrasts are judged for."""
    return [judgement for judgement, reason in _capped(judgements, config) if not reason]


def select_split(judgements: Iterable[Judgement], config: Select, seed: int) -> dict[str, Decision]:
    """Decide on all judgements of one split, whatever their order; the result is keyed by `ticket`."""
    distinct = {ticket(judgement): judgement for judgement in judgements}
    ordered = [distinct[key] for key in sorted(distinct)]
    base = [judgement for judgement in ordered if not judgement.candidate.anchor]
    selection = _Selection(config, seed)
    anchors = selection.take_emergent(base)
    selection.take_contrasts(anchors, [judgement for judgement in ordered if judgement.candidate.anchor])
    selection.take_benign(base, limit=int(config.benign_share * len(anchors)))
    selection.leave_out(base)
    return selection.decisions


def _capped(base: Iterable[Judgement], config: Select) -> Iterator[tuple[Judgement, str]]:
    """Every pair that could be emergent, by falling emergence, with the cap that keeps it out (or nothing).

    The caps are dealt out before any threshold is looked at. So other thresholds choose among the same pairs, and
    a run with other thresholds has nothing new to judge.
    """
    likely = [j for j in base if j.candidate.method == "scenario" and j.p_joint >= LIKELY]
    uses: Counter[str] = Counter()
    kinds: Counter[tuple[str, str]] = Counter()
    for judgement in sorted(likely, key=lambda j: (-j.emergence, j.candidate.id)):
        pair = judgement.candidate
        if max(uses[pair.image_id], uses[pair.text_id]) >= config.max_uses:
            yield judgement, "asset_overused"
        elif kinds[pair.hazard, pair.mechanism] >= config.max_per_mechanism:
            yield judgement, "quota"
        else:
            uses.update((pair.image_id, pair.text_id))
            kinds[pair.hazard, pair.mechanism] += 1
            yield judgement, ""


class _Selection:
    def __init__(self, config: Select, seed: int) -> None:
        self._config = config
        self._seed = seed
        self._written: set[str] = set()
        self.decisions: dict[str, Decision] = {}

    def take_emergent(self, base: Sequence[Judgement]) -> list[Judgement]:
        """Take the scenarios' emergent pairs that the caps let through."""
        taken = []
        for judgement, reason in _capped(base, self._config):
            if not is_emergent(judgement, self._config):
                continue
            if reason:
                self._leave(judgement, reason, judgement.emergence)
            else:
                self._take(judgement, "emergent", judgement.candidate.id)
                taken.append(judgement)
        return taken

    def take_contrasts(self, anchors: Sequence[Judgement], contrasts: Sequence[Judgement]) -> None:
        """Give every anchor its nearest benign partner of each kind that is not yet written."""
        tried: dict[tuple[str, str], list[Judgement]] = {}
        for judgement in contrasts:
            tried.setdefault((judgement.candidate.anchor, judgement.candidate.method), []).append(judgement)
        roles: tuple[Role, Role] = ("contrast_image", "contrast_text")
        for anchor in anchors:
            for role in roles:
                self._take_nearest(tried.pop((anchor.candidate.id, role), []), role)
        for judgement in (judgement for group in tried.values() for judgement in group):
            self._leave(judgement, "no_emergent_anchor", judgement.p_joint)

    def _take_nearest(self, tried: Sequence[Judgement], role: Role) -> None:
        found = False
        for judgement in sorted(tried, key=lambda j: (-j.candidate.score, j.candidate.id)):
            if not parts_are_benign(judgement, self._config):
                self._leave_harmful(judgement)
            elif not is_benign(judgement, self._config):
                self._leave(judgement, "contrast_still_harmful", judgement.p_joint, self._config.max_benign)
            elif found:
                self._leave(judgement, "not_nearest_contrast", judgement.candidate.score)
            else:
                found = self._take(judgement, role, judgement.candidate.anchor)

    def take_benign(self, base: Sequence[Judgement], limit: int) -> None:
        """Take benign pairs, hard negatives and random ones in turn, in an order drawn by hash."""
        benign = [j for j in base if ticket(j) not in self.decisions and is_benign(j, self._config)]
        drawn = sorted(benign, key=lambda j: draw_key(self._seed, "benign", ticket(j)))
        hard = [judgement for judgement in drawn if judgement.candidate.method != "random"]
        random = [judgement for judgement in drawn if judgement.candidate.method == "random"]
        count = 0
        for judgement in _in_turn(hard, random):
            if count < limit:
                count += self._take(judgement, "benign", "")
            else:
                self._leave(judgement, "benign_surplus", judgement.p_joint)

    def leave_out(self, base: Sequence[Judgement]) -> None:
        """Give everything not decided yet its reason."""
        config = self._config
        for judgement in base:
            if ticket(judgement) in self.decisions:
                continue
            if not parts_are_benign(judgement, config):
                self._leave_harmful(judgement)
            elif is_emergent(judgement, config):
                self._leave(judgement, "baseline", judgement.emergence)
            elif judgement.p_joint >= config.min_joint:
                self._leave(judgement, "below_threshold", judgement.emergence, config.min_emergence)
            else:
                self._leave(judgement, "ambiguous", judgement.p_joint, config.min_joint)

    def _take(self, judgement: Judgement, role: Role, group: str) -> bool:
        """Write a pair, unless it is written already; a pair is written at most once."""
        if judgement.candidate.id in self._written:
            self._leave(judgement, "duplicate_pair", judgement.p_joint)
            return False
        self._written.add(judgement.candidate.id)
        self.decisions[ticket(judgement)] = Decision(role, group)
        return True

    def _leave(self, judgement: Judgement, reason: str, score: float, threshold: float | None = None) -> None:
        self.decisions[ticket(judgement)] = Decision(reason=reason, score=score, threshold=threshold)

    def _leave_harmful(self, judgement: Judgement) -> None:
        alone = max(judgement.p_image, judgement.p_text)
        self._leave(judgement, "harmful_alone", alone, self._config.max_alone)


def _in_turn(first: Sequence[Judgement], second: Sequence[Judgement]) -> Iterator[Judgement]:
    for pair in zip_longest(first, second):
        yield from (judgement for judgement in pair if judgement is not None)
