"""Which judged pairs of a split become rows: deterministic, and with a reason for every other one.

Emergent pairs are kept if they can be balanced (see `balance`): each with a contrast partner of both kinds, all made
of the same images and texts, so that no image and no text by itself predicts the label.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from pipelines.stages.balance import Row, balance, circulate, cycles
from pipelines.stages.baselines import draw_key
from pipelines.stages.emergence import is_benign, is_emergent, parts_are_benign
from schemas.config import Select
from schemas.records import Candidate, Judgement, Role

NO_CONTRAST_SET = "no_contrast_set"
"""The reason of emergent pairs that cannot be balanced."""
FARTHEST = 20.0
"""More than any score of a contrast search: a cosine less `contrast.away` times another, in [-11, 11]."""
FOUND_FOR_ANOTHER = 40.0
"""The cost of a partner that was not among the nearest of its pair: more than that of any that was."""


class Decision(NamedTuple):
    """What becomes of one judgement: a role, or else a reason with the score and threshold behind it."""

    role: Role | None = None
    group: str = ""
    """The contrast group of a selected pair; empty for a pair that contrasts with none."""
    anchor: Candidate | None = None
    """The emergent pair that a contrast partner belongs to; it may have been found as the partner of another."""
    reason: str = ""
    score: float | None = None
    threshold: float | None = None


def ticket(judgement: Judgement) -> str:
    """Tells judgements of one pair apart: it may be a candidate, and the contrast of several anchors."""
    candidate = judgement.candidate
    return f"{candidate.id}|{candidate.method}|{candidate.anchor}"


def choose_anchors(judgements: Iterable[Judgement], config: Select) -> list[Judgement]:
    """The pairs of one split that may become emergent, by `likely`: those that contrasts are judged for."""
    return [judgement for judgement, reason in _capped(judgements, config) if not reason]


def select_split(judgements: Iterable[Judgement], config: Select, seed: int) -> dict[str, Decision]:
    """Decide on all judgements of one split, whatever their order; the result is keyed by `ticket`."""
    distinct = {ticket(judgement): judgement for judgement in judgements}
    selection = _Selection([distinct[key] for key in sorted(distinct)], config, seed)
    selection.take_sets(selection.eligible())
    selection.leave_out()
    return selection.decisions


def _capped(base: Iterable[Judgement], config: Select) -> Iterator[tuple[Judgement, str]]:
    """Every pair that could be emergent, by falling emergence, with the cap that keeps it out (or nothing).

    The caps are dealt out to all likely pairs, before any threshold is looked at. So other thresholds above that
    choose among the same pairs, and a run with them has nothing new to judge.
    """
    floor = min(config.likely, config.min_joint)
    likely = [j for j in base if j.candidate.method == "scenario" and j.p_joint >= floor]
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
    def __init__(self, judgements: Sequence[Judgement], config: Select, seed: int) -> None:
        self._judgements = judgements
        self._config = config
        self._seed = seed
        self._benign: dict[Row, list[Judgement]] = {}
        for judgement in judgements:
            if is_benign(judgement, config):
                self._benign.setdefault(_row(judgement), []).append(judgement)
        self._anchors: set[str] = set()
        self._taken: set[Row] = set()
        self.decisions: dict[str, Decision] = {}

    def eligible(self) -> list[Judgement]:
        """The scenarios' emergent pairs that the caps let through; the others say which cap it was."""
        found = []
        base = [judgement for judgement in self._judgements if not judgement.candidate.anchor]
        for judgement, reason in _capped(base, self._config):
            if not is_emergent(judgement, self._config):
                continue
            if reason:
                self._leave(judgement, reason, judgement.emergence)
            else:
                found.append(judgement)
        return found

    def take_sets(self, emergent: Sequence[Judgement]) -> None:
        """Take the emergent pairs that have both partners, the partners, and benign pairs of the same parts."""
        pairs = [_row(judgement) for judgement in emergent]
        for pair in pairs:
            self._benign.pop(pair, None)
        images, texts = balance(pairs, self._costs("contrast_image"), self._costs("contrast_text"))
        for position, judgement in enumerate(emergent):
            if position not in images:
                self._leave(judgement, NO_CONTRAST_SET, judgement.emergence)
                continue
            anchor = judgement.candidate
            self._anchors.add(anchor.id)
            self._take(judgement, Decision("emergent", anchor.id))
            self._take_row(images[position], Decision("contrast_image", anchor.id, anchor))
            self._take_row(texts[position], Decision("contrast_text", anchor.id, anchor))
        self._take_benign([pairs[position] for position in sorted(images)])

    def _costs(self, method: str) -> dict[Row, float]:
        """Every benign row, and how far its new part is from the one it replaces, if it was found that way."""
        costs = dict.fromkeys(self._benign, FOUND_FOR_ANOTHER)
        for row, judgements in self._benign.items():
            if scores := [j.candidate.score for j in judgements if j.candidate.method == method]:
                costs[row] = FARTHEST - max(scores)
        return costs

    def _take_benign(self, pairs: Sequence[Row]) -> None:
        """Take up to the share of benign pairs, in balanced cycles that a hash draws."""
        used, rows = circulate(pairs, self._drawn(), uses=1)
        found = cycles((pair for pair, count in zip(pairs, used, strict=True) if count), rows)
        left = int(self._config.benign_share * len(pairs))
        for cycle in sorted(found, key=lambda cycle: self._draw(min(cycle))):
            if len(cycle) <= left:
                left -= len(cycle)
                for row in cycle:
                    self._take_row(row, Decision("benign"))

    def _drawn(self) -> dict[Row, float]:
        """Benign rows not taken yet, at random costs; those that a scenario proposed are preferred."""
        costs = {}
        for row, judgements in self._benign.items():
            if row not in self._taken:
                proposed = any(judgement.candidate.method == "scenario" for judgement in judgements)
                costs[row] = 1 + int(self._draw(row)[:8], 16) / 2**32 + (0 if proposed else 1)
        return costs

    def _draw(self, row: Row) -> str:
        return draw_key(self._seed, "benign", "|".join(row))

    def leave_out(self) -> None:
        """Give everything not decided yet its reason."""
        for judgement in self._judgements:
            if ticket(judgement) not in self.decisions:
                self._leave_undecided(judgement)

    def _leave_undecided(self, judgement: Judgement) -> None:
        config, contrast = self._config, judgement.candidate.anchor
        if contrast and contrast not in self._anchors:
            self._leave(judgement, "no_emergent_anchor", judgement.p_joint)
        elif not parts_are_benign(judgement, config):
            alone = max(judgement.p_image, judgement.p_text)
            self._leave(judgement, "harmful_alone", alone, config.max_alone)
        elif is_benign(judgement, config):
            reason = "not_nearest_contrast" if contrast else "benign_surplus"
            self._leave(judgement, reason, judgement.candidate.score if contrast else judgement.p_joint)
        elif contrast:
            self._leave(judgement, "contrast_still_harmful", judgement.p_joint, config.max_benign)
        elif is_emergent(judgement, config):
            self._leave(judgement, "baseline", judgement.emergence)
        elif judgement.p_joint >= config.min_joint:
            self._leave(judgement, "below_threshold", judgement.emergence, config.min_emergence)
        else:
            self._leave(judgement, "ambiguous", judgement.p_joint, config.min_joint)

    def _take_row(self, row: Row, decision: Decision) -> None:
        """Write a benign row once; what else proposed it is a duplicate."""
        first, *others = sorted(
            self._benign[row], key=lambda j: (j.candidate.anchor != decision.group, ticket(j))
        )
        self._take(first, decision)
        for judgement in others:
            self._leave(judgement, "duplicate_pair", judgement.p_joint)

    def _take(self, judgement: Judgement, decision: Decision) -> None:
        self._taken.add(_row(judgement))
        self.decisions[ticket(judgement)] = decision

    def _leave(self, judgement: Judgement, reason: str, score: float, threshold: float | None = None) -> None:
        self.decisions[ticket(judgement)] = Decision(reason=reason, score=score, threshold=threshold)


def _row(judgement: Judgement) -> Row:
    return judgement.candidate.image_id, judgement.candidate.text_id
