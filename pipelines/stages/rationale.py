"""Rationale: pairs in; the same pairs out, the emergent ones with the judge's reason; failures as `Failed`.

Written in a second pass and for selected pairs alone, since writing costs far more than judging.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from pipelines.models.judge import Question
from pipelines.progress import Tally
from pipelines.stages.inference import failed, in_batches, question_key
from pipelines.storage.cache import CachedInference, InferenceError
from pipelines.storage.workspace import Workspace
from schemas.records import Pair

STAGE = "rationale"


class Rationale(beam.PTransform[Any, Any]):
    """`Pair`s -> `{"kept", "failed"}`.

    Args:
        handler: Writes a rationale, as UTF-8 bytes, for a `Question`.
        workspace: Where the inference cache is.
        tally: Counts emergent pairs `in`, `kept`, `failed`.
    """

    def __init__(self, handler: Any, workspace: Workspace, tally: Tally) -> None:
        super().__init__()
        self._write = _WriteRationales(handler, workspace, tally)

    def expand(self, pairs: Any) -> dict[str, Any]:
        """Write in batches, without a shuffle."""
        rows = pairs | in_batches() | beam.ParDo(self._write).with_outputs("failed", main="kept")
        return {name: rows[name] for name in ("kept", "failed")}


class _WriteRationales(beam.DoFn):
    def __init__(self, handler: Any, workspace: Workspace, tally: Tally) -> None:
        self._handler, self._workspace, self._tally = handler, workspace, tally

    def setup(self) -> None:
        self._infer: Any = CachedInference(self._handler, self._workspace, self._tally)

    def process(self, pairs: list[Pair]) -> Iterator[Any]:
        emergent = [pair for pair in pairs if pair.role == "emergent"]
        yield from (pair for pair in pairs if pair.role != "emergent")
        self._tally.count("in", len(emergent))
        for pair, result in zip(emergent, self._infer([_keyed(p) for p in emergent]), strict=True):
            candidate = pair.judgement.candidate
            if isinstance(result, InferenceError):
                self._tally.count("failed")
                row = failed(result, "candidate", candidate.id, candidate.id, STAGE)
                yield beam.pvalue.TaggedOutput("failed", row)
            else:
                self._tally.count("kept")
                yield pair._replace(rationale=result.decode())

    def finish_bundle(self) -> None:
        self._tally.flush()


def _keyed(pair: Pair) -> tuple[str, Question]:
    candidate = pair.judgement.candidate
    return question_key(candidate.image_id, candidate.text_id), Question(candidate.image_id, candidate.text)
