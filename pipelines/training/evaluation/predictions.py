"""One row a pair and model: what was expected, what was answered, and what was answered when something was hidden."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

from pipelines.training.evaluation.answering import Answered, probability
from pipelines.training.evaluation.items import Item


class Prediction(NamedTuple):
    """A row of `predictions/<name>.parquet`; verdicts are `harmful`, `benign`, or empty where none could be read."""

    part: str
    id: str
    cluster: str
    contrast_group: str
    role: str
    hazard: str
    """Of harmful pairs."""
    mechanism: str
    provenance: str
    expected: str
    verdict: str
    log_odds: float
    """Of harmful against benign, in nats: what AUROC ranks by, since probabilities may all be near 0 or 1."""
    p_harmful: float
    well_formed: bool
    """Whether the completion has the form of an answer; always true of what writes none."""
    predicted_hazard: str
    rationale: str
    completion: str
    region_known: bool
    image_only: str | None = None
    """The verdict without the text; None where it was not asked for, as in all that follow."""
    p_image_only: float | None = None
    text_only: str | None = None
    """The verdict on a grey image."""
    p_text_only: float | None = None
    masked: str | None = None
    """The verdict when the evidence is masked; asked where the pair is harmful and was called so."""
    control: str | None = None
    """The verdict when as much is masked elsewhere."""


def prediction(item: Item, answered: Answered) -> Prediction:
    """The row of an answer to the whole pair."""
    answer = answered.reasoned.answer if answered.reasoned else None
    return _row(
        item,
        verdict=answer.verdict if answer else "",
        log_odds=answered.log_odds,
        well_formed=answer is not None,
        predicted_hazard=answer.hazard if answer else "",
        rationale=answer.rationale if answer else "",
        completion=answered.completion,
    )


def scored(item: Item, verdict: str, log_odds: float) -> Prediction:
    """The row of a verdict that comes without words."""
    return _row(
        item,
        verdict=verdict,
        log_odds=log_odds,
        well_formed=True,
        predicted_hazard="",
        rationale="",
        completion="",
    )


def verdict_of(answered: Answered) -> str:
    """The verdict of an answer, empty where none can be read."""
    return answered.reasoned.answer.verdict if answered.reasoned else ""


def _row(
    item: Item,
    *,
    verdict: str,
    log_odds: float,
    well_formed: bool,
    predicted_hazard: str,
    rationale: str,
    completion: str,
) -> Prediction:
    example = item.example
    return Prediction(
        part=item.part,
        id=example.id,
        cluster=item.cluster,
        contrast_group=example.contrast_group,
        role=example.role,
        hazard=example.hazard,
        mechanism=example.mechanism,
        provenance=example.provenance,
        expected=example.verdict,
        verdict=verdict,
        log_odds=log_odds,
        p_harmful=probability(log_odds),
        well_formed=well_formed,
        predicted_hazard=predicted_hazard,
        rationale=rationale,
        completion=completion,
        region_known=item.masks is not None,
    )


def write_predictions(path: Path, rows: Sequence[Prediction]) -> None:
    """Write rows as Parquet; the same rows give the same bytes."""
    import pyarrow as pa
    import pyarrow.parquet as pq

    kinds = {
        "log_odds": pa.float64(),
        "p_harmful": pa.float64(),
        "p_image_only": pa.float64(),
        "p_text_only": pa.float64(),
    }
    kinds |= dict.fromkeys(("well_formed", "region_known"), pa.bool_())
    schema = pa.schema([(name, kinds.get(name, pa.string())) for name in Prediction._fields])
    path.parent.mkdir(parents=True, exist_ok=True)
    pq.write_table(pa.Table.from_pylist([row._asdict() for row in rows], schema), path)


def read_predictions(path: Path) -> list[Prediction]:
    """Read what `write_predictions` wrote."""
    import pyarrow.parquet as pq

    return [Prediction(**row) for row in pq.read_table(path).to_pylist()]
