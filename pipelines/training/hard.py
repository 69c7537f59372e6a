"""Hard examples by rejection sampling: pairs of which the model gets some of its own answers wrong.

After GuardReasoner-VL (arXiv 2505.11049), which keeps what all of four samples get wrong, and its omni-modal successor,
which keeps what some but not all get wrong, since a pair that is always wrong gives GRPO nothing to compare.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import datasets

from pipelines.training.configuration import Hard
from pipelines.training.evaluation.answering import Answerer, Question, Sampling
from pipelines.training.policy import Policy
from schemas.reasoning import parse

Track = Callable[[Iterable[Any], str, int], Iterable[Any]]


def wrong_counts(examples: datasets.Dataset, policy: Policy, settings: Hard, track: Track) -> list[int]:
    """Of every pair, how many of the sampled answers have the wrong verdict or none."""
    answerer = Answerer(policy.model, policy.processor, settings.max_completion)
    sampling = Sampling(settings.samples, settings.temperature, settings.top_p, settings.seed)
    starts = range(0, len(examples), settings.batch_size)
    counts: list[int] = []
    for start in track(starts, "sampling answers", len(starts)):
        rows = examples[start : start + settings.batch_size]
        asked = [Question(text, image) for text, image in zip(rows["text"], rows["image"], strict=True)]
        completions = answerer.sampled(asked, sampling, start)
        counts += [_wrong(said, verdict) for said, verdict in zip(completions, rows["verdict"], strict=True)]
    return counts


def _wrong(completions: Sequence[str], verdict: str) -> int:
    answers = [parse(completion) for completion in completions]
    return sum(one is None or one.answer.verdict != verdict for one in answers)


def kept_rows(counts: Sequence[int], groups: Sequence[str], settings: Hard) -> list[int]:
    """Rows that are hard, and the other members of their contrast sets, so that no set is torn.

    Args:
        counts: Of every row, how many of the samples were wrong.
        groups: Of every row, its contrast set, or nothing.
        settings: How many wrong answers make a row hard.
    """
    most = settings.samples if settings.always_wrong else settings.samples - 1
    hard = [row for row, count in enumerate(counts) if settings.least_wrong <= count <= most]
    sets = {groups[row] for row in hard if groups[row]}
    return sorted({*hard, *(row for row, group in enumerate(groups) if group in sets)})
