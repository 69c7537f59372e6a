"""A batch of completions with what they are about, read once for all rewards."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, NamedTuple, Protocol

from pipelines.training.examples import Example
from pipelines.training.rewards.gate import Gate
from schemas.reasoning import HARMFUL, Reasoned

Log = Callable[[str, float], None]
Scores = list[float | None]
"""One score a row; None where the example (never the completion) gives a reward nothing to go by."""

REQUIRED = ("id", "text", "verdict")
_LISTS = ("references", "image_says", "text_says")
_NUMBERS = ("p_image", "p_text")


class Row(NamedTuple):
    """A completion and the example that it is about."""

    completion: str
    answer: Reasoned | None
    """What the gate admits; None for everything else, and that is what no reward pays."""
    example: Example
    image: Any = None
    """The picture (PIL), where the batch has some."""

    @property
    def right(self) -> bool:
        """Whether an admitted answer has the right verdict."""
        return self.answer is not None and self.answer.answer.verdict == self.example.verdict

    @property
    def harmful(self) -> bool:
        """Whether the pair really is harmful."""
        return self.example.verdict == HARMFUL


class Reward(Protocol):
    """Scores every row of a batch."""

    @property
    def bounds(self) -> tuple[float, float]:
        """The lowest and the highest score there can be."""
        ...

    def scores(self, batch: Batch) -> Scores:
        """One score a row, all finite and within the bounds."""
        ...


@dataclass(frozen=True)
class Batch:
    """Rows that were generated together, several of one example as a rule."""

    rows: tuple[Row, ...]
    step: int = 0
    """Optimiser steps that training has made."""
    log: Log = lambda name, value: None
    """Takes the name and the value of what a reward wants to show beside its scores."""

    @staticmethod
    def of(
        completions: Sequence[Any],
        columns: Mapping[str, Sequence[Any]],
        gate: Gate | None = None,
        step: int = 0,
        log: Log | None = None,
    ) -> Batch:
        """Read what TRL hands to a reward function.

        Args:
            completions: Strings, or conversations whose last message is the completion.
            columns: The columns of the dataset, as long as the completions; those of `Example` and `image` are used.
            gate: What admits completions; the default one if not given.
            step: Optimiser steps so far.
            log: Where to log to.

        Raises:
            ValueError: `id`, `text` or `verdict` is not among the columns.
        """
        missing = [name for name in REQUIRED if name not in columns]
        if missing:
            raise ValueError(f"the rewards need the columns {', '.join(missing)}, see load_examples")
        gate = gate or Gate()
        texts = [_text_of(completion) for completion in completions]
        images = columns.get("image") or [None] * len(texts)
        rows = tuple(
            Row(text, gate.admit(text, example.text), example, image)
            for text, example, image in zip(texts, _examples(columns), images, strict=True)
        )
        return Batch(rows, step, log or (lambda name, value: None))

    @cached_property
    def groups(self) -> list[list[int]]:
        """Indices of the rows of each example, in the order of their first row."""
        return list(_by(row.example.id for row in self.rows).values())

    @cached_property
    def sets(self) -> dict[str, list[list[int]]]:
        """For every contrast set, the groups of its members that are in the batch."""
        members: dict[str, list[list[int]]] = {}
        for group in self.groups:
            name = self.rows[group[0]].example.contrast_group
            if name:
                members.setdefault(name, []).append(group)
        return members


def _text_of(completion: Any) -> str:
    return completion if isinstance(completion, str) else str(completion[-1]["content"])


def _examples(columns: Mapping[str, Sequence[Any]]) -> list[Example]:
    blank: dict[str, Any] = dict.fromkeys(Example._fields, "")
    blank |= dict.fromkeys(_LISTS, ()) | dict.fromkeys(_NUMBERS, 0.0)
    known = [name for name in Example._fields if name in columns]
    rows = zip(*(columns[name] for name in known), strict=True)
    return [_example(blank | dict(zip(known, row, strict=True))) for row in rows]


def _example(fields: dict[str, Any]) -> Example:
    return Example(**(fields | {name: tuple(fields[name]) for name in _LISTS}))


def _by(keys: Iterable[str]) -> dict[str, list[int]]:
    found: dict[str, list[int]] = {}
    for index, key in enumerate(keys):
        found.setdefault(key, []).append(index)
    return found
