"""Asking a model for the verdict that follows from somebody's reasoning."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple, Protocol

from pipelines.training.examples import prompt_of
from pipelines.training.rewards.batch import Row
from schemas.reasoning import BENIGN, HARMFUL

REORDERED = (
    'Text: "{text}" Is the image together with the text benign, or is it harmful? Think about what each of them shows '
    "or says, then give the result."
)
"""The question with its options named, and in the other order."""


class Asked(NamedTuple):
    """A pair and the reasoning about it, without its answer."""

    text: str
    image: Any
    """The picture (PIL); None for a question about the text alone."""
    think: str
    reordered: bool = False
    """Whether to ask in the words of `REORDERED`."""

    @property
    def conversation(self) -> list[dict[str, Any]]:
        """What the model is asked, as `examples.prompt_of` has it."""
        if not self.reordered:
            parts = prompt_of(self.text)[0]["content"]
        else:
            parts = [{"type": "image"}, {"type": "text", "text": REORDERED.format(text=self.text)}]
        shown = [part for part in parts if part["type"] != "image" or self.image is not None]
        return [{"role": "user", "content": shown}]


class VerdictModel(Protocol):
    """Says how likely it finds a harmful verdict after some reasoning."""

    def __call__(self, asked: Sequence[Asked]) -> list[float]:
        """The probability of `harmful` among the two verdicts, one for each asked, 0 to 1."""
        ...


def ask(model: VerdictModel, rows: Sequence[Row], reordered: bool = False) -> list[float]:
    """The probability of harm after the reasoning of each row, all of which the gate has admitted.

    Raises:
        ValueError: A row has no admitted answer, so there is no reasoning.
    """
    asked = []
    for row in rows:
        if row.answer is None:
            raise ValueError("a completion that the gate turned away has no reasoning to ask about")
        asked.append(Asked(row.example.text, row.image, row.answer.think, reordered))
    return model(asked) if asked else []


def verdict_of(harm: float) -> str:
    """The likelier verdict."""
    return HARMFUL if harm >= 0.5 else BENIGN


def chance_of(row: Row, harm: float) -> float:
    """The probability of the verdict that a row gives; 0 if the gate turned it away."""
    if row.answer is None:
        return 0.0
    return harm if row.answer.answer.verdict == HARMFUL else 1 - harm
