"""Every pair to every model: the whole pair, and what is left when a part of it is hidden."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Protocol

from pipelines.training.evaluation.answering import Answered, Answerer, Question
from pipelines.training.evaluation.faithfulness import (
    image_only,
    is_asked_again,
    text_only,
    whole,
    without_evidence,
    without_something_else,
)
from pipelines.training.evaluation.items import Item, dataset_items
from pipelines.training.evaluation.loading import PROBES, Contestant, load_model
from pipelines.training.evaluation.predictions import Prediction, prediction, scored, verdict_of
from pipelines.training.evaluation.probe import ClipProbe
from pipelines.training.evaluation.settings import Settings, Track
from schemas.config import Model

Parts = dict[str, list[Item]]
"""Split or benchmark to its pairs."""


class Answers(Protocol):
    """What answers questions, such as an `Answerer`."""

    def answer(self, batch: Sequence[Question]) -> list[Answered]:
        """Answer the questions of a batch, in their order."""
        ...


def ask(contestant: Contestant, parts: Parts, settings: Settings, track: Track) -> list[Prediction]:
    """The rows of a model on all parts, in their order.

    Raises:
        ModelMissingError: Its weights are not there.
        ValueError: It cannot be asked, or the probe has no split `train` to be fitted on.
    """
    if contestant.kind == "probe":
        return _probed(contestant, parts, settings)
    weights = {"path": contestant.path, "revision": contestant.revision}
    model = Model.model_validate(weights | {"device": settings.device, "dtype": settings.dtype})
    answerer = Answerer(*load_model(model), max_new_tokens=settings.max_new_tokens)
    return ask_answerer(answerer, contestant.name, parts, settings, track)


def ask_answerer(
    answerer: Answers, name: str, parts: Parts, settings: Settings, track: Track
) -> list[Prediction]:
    """The rows of what answers questions, on all parts in their order; the name is shown beside the progress."""
    found = []
    for part, items in parts.items():
        asking = _Asking(answerer, f"{name}, {part}", settings, track)
        rows = [prediction(*both) for both in zip(items, asking.of(items, whole, ""), strict=True)]
        found += _ablated(asking, items, rows) if settings.ablations else rows
    return found


def _probed(contestant: Contestant, parts: Parts, settings: Settings) -> list[Prediction]:
    probe = ClipProbe(contestant.path, settings.device, kernel=PROBES[contestant.name])
    probe.fit(dataset_items(settings.dataset, "train"))
    return [
        scored(item, *judged)
        for items in parts.values()
        for item, judged in zip(items, probe.judge(items), strict=True)
    ]


class _Asking:
    """Asks one model about the pairs of one part."""

    def __init__(self, answerer: Answers, what: str, settings: Settings, track: Track) -> None:
        self._answerer, self._what, self._size, self._track = answerer, what, settings.batch_size, track

    def of(self, items: Sequence[Item], view: Callable[[Item], Question], named: str) -> Iterator[Answered]:
        """Answers to a view of each pair."""
        starts = range(0, len(items), self._size)
        if not starts:
            return
        for start in self._track(starts, f"{self._what}{named}", len(starts)):
            yield from self._answerer.answer([view(item) for item in items[start : start + self._size]])


def _ablated(asking: _Asking, items: Sequence[Item], rows: list[Prediction]) -> list[Prediction]:
    """The rows with the verdicts on one modality, and on pictures in which something is masked."""
    without_text = zip(rows, asking.of(items, image_only, ", image only"), strict=True)
    rows = [row._replace(image_only=verdict_of(one), p_image_only=one.p_harmful) for row, one in without_text]
    without_image = zip(rows, asking.of(items, text_only, ", text only"), strict=True)
    rows = [row._replace(text_only=verdict_of(one), p_text_only=one.p_harmful) for row, one in without_image]
    again = [number for number, row in enumerate(rows) if is_asked_again(row)]
    hidden = asking.of([items[number] for number in again], without_evidence, ", evidence masked")
    for number, answered in zip(again, hidden, strict=True):
        rows[number] = rows[number]._replace(masked=verdict_of(answered))
    free = [number for number in again if items[number].masks]
    control = asking.of([items[number] for number in free], without_something_else, ", masked elsewhere")
    for number, answered in zip(free, control, strict=True):
        rows[number] = rows[number]._replace(control=verdict_of(answered))
    return rows
