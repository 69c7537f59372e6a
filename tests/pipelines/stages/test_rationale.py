from collections.abc import Iterable, Sequence
from typing import Any

import pytest

from pipelines.models.judge import Question
from pipelines.stages.rationale import Rationale
from schemas.records import Candidate, Judgement, Pair, Role


class Reasons:
    """Writes a reason that quotes both parts; cannot write about `boom`."""

    def fingerprint(self) -> str:
        return "reasons"

    def load_model(self) -> str:
        return "model"

    def run_inference(
        self, batch: Sequence[Question], model: str, inference_args: Any = None
    ) -> Iterable[bytes]:
        for question in batch:
            if "boom" in question.text:
                raise ValueError(f"cannot answer {question.text}")
            yield f"{question.image_id} … {question.text}".encode()


def _pair(text: str, role: Role = "emergent") -> Pair:
    candidate = Candidate(f"pair {text}", "image", f"id of {text}", text, "train", "scenario", 0.5)
    return Pair(Judgement(candidate, 0.1, 0.1, 0.9, 3.0, "judge"), role, candidate.id)


@pytest.fixture
def explain(run: Any, workspace: Any, tally: Any) -> Any:
    return lambda pairs: run(Rationale(Reasons(), workspace, tally), pairs)


def test_an_emergent_pair_gets_the_judges_reason(explain: Any) -> None:
    out = explain([_pair("smells lovely")])
    assert out["kept"] == [_pair("smells lovely")._replace(rationale="image … smells lovely")]
    assert not out["failed"]


@pytest.mark.parametrize("role", ["contrast_image", "contrast_text", "benign"])
def test_other_roles_pass_without_a_question(explain: Any, role: Role) -> None:
    out = explain([_pair("boom", role)])
    assert out == {"kept": [_pair("boom", role)], "failed": []}


def test_a_pair_that_cannot_be_explained_fails_alone(explain: Any) -> None:
    out = explain([_pair("boom"), _pair("fine")])
    assert [pair.judgement.candidate.text for pair in out["kept"]] == ["fine"]
    (row,) = out["failed"]
    assert (row.modality, row.id, row.stage, row.error) == (
        "candidate",
        "pair boom",
        "rationale",
        "ValueError",
    )
    assert row.detail == "cannot answer boom"


def test_every_pair_comes_out_exactly_once(explain: Any) -> None:
    pairs = [
        _pair(f"{word} {n}", role)
        for n in range(30)
        for word, role in (("fine", "emergent"), ("ok", "benign"))
    ]
    out = explain([*pairs, _pair("boom")])
    ids = [p.judgement.candidate.id for p in out["kept"]] + [row.id for row in out["failed"]]
    assert sorted(ids) == sorted([*(p.judgement.candidate.id for p in pairs), "pair boom"])


def test_a_second_run_is_answered_from_the_cache(
    explain: Any, run: Any, workspace: Any, tally: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    first = explain([_pair("fine")])
    monkeypatch.setattr(Reasons, "load_model", lambda self: pytest.fail("the model was loaded again"))
    assert explain([_pair("fine")]) == first
