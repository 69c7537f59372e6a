"""Judge: candidates in, judgements out; a candidate whose questions cannot be answered is failed.

The judge answers three questions a candidate: about the pair, the image alone and the text alone. The last
two were asked at screening, so they come from the cache.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import apache_beam as beam

from pipelines.progress import Tally
from pipelines.stages.emergence import judgement_of
from pipelines.stages.inference import Question, failed, in_batches, probability, question_key
from pipelines.storage.cache import CachedInference, InferenceError
from pipelines.storage.workspace import Workspace
from schemas.records import Candidate


def questions(candidate: Candidate) -> list[tuple[str, Question]]:
    """The three questions with their cache keys: image alone, text alone, both."""
    image, text = candidate.image_id, candidate.text_id
    return [
        (question_key(image, ""), Question(image, "")),
        (question_key("", text), Question("", candidate.text)),
        (question_key(image, text), Question(image, candidate.text)),
    ]


class JudgePairs(beam.PTransform[Any, Any]):
    """`Candidate`s -> `{"judgements", "failed"}`.

    Args:
        judge: Handler of the judge: `Question`s to one probability.
        workspace: Where the inference caches are.
        tally: Counts `in`, `kept`, `failed`.
        stage: The name that failed rows carry.
    """

    def __init__(self, judge: Any, workspace: Workspace, tally: Tally, stage: str = "judge") -> None:
        super().__init__()
        self._judge = _JudgeBatch(judge, workspace, tally, stage)

    def expand(self, candidates: Any) -> dict[str, Any]:
        """Judge in batches, without a shuffle."""
        judge = beam.ParDo(self._judge).with_outputs("failed", main="judgements")
        rows = candidates | "Batch" >> in_batches() | "Judge" >> judge
        return {name: rows[name] for name in ("judgements", "failed")}


class _JudgeBatch(beam.DoFn):
    def __init__(self, judge: Any, workspace: Workspace, tally: Tally, stage: str) -> None:
        self._judge = judge
        self._workspace = workspace
        self._tally = tally
        self._stage = stage

    def setup(self) -> None:
        self._infer: Any = CachedInference(self._judge, self._workspace, self._tally)

    def process(self, batch: list[Any]) -> Iterator[Any]:
        self._tally.count("in", len(batch))
        answers = iter(self._infer([keyed for candidate in batch for keyed in questions(candidate)]))
        for candidate, *answer in zip(batch, answers, answers, answers, strict=True):
            yield self._row(candidate, answer)

    def finish_bundle(self) -> None:
        self._tally.flush()

    def _row(self, candidate: Candidate, answer: list[Any]) -> Any:
        for result in answer:
            if isinstance(result, InferenceError):
                self._tally.count("failed")
                name = question_key(candidate.image_id, candidate.text_id)
                row = failed(result, "candidate", candidate.id, name, self._stage)
                return beam.pvalue.TaggedOutput("failed", row)
        self._tally.count("kept")
        p_image, p_text, p_joint = (probability(result, self._judge.scaling) for result in answer)
        return judgement_of(candidate, p_image, p_text, p_joint, self._judge.name)
