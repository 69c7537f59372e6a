from typing import Any

from pipelines.stages.emergence import emergence
from pipelines.stages.inference import Question
from pipelines.stages.judge import JudgePairs, questions
from schemas.records import Candidate

PAIR = Candidate("id", "image", "text", "some words", "train", "scenario", 0.5)


def test_a_candidate_asks_about_both_parts_and_the_pair() -> None:
    assert questions(PAIR) == [
        ("image+", Question("image", "")),
        ("+text", Question("", "some words")),
        ("image+text", Question("image", "some words")),
    ]


def test_a_judgement_holds_the_three_probabilities(run: Any, judge: Any, workspace: Any, tally: Any) -> None:
    (judgement,) = run(JudgePairs(judge, workspace, tally), [PAIR])["judgements"]
    joint = round(judge.answer(Question("image", "some words"))[0], 4)
    assert judgement[1:4] == (0.05, 0.05, joint)
    assert judgement.emergence == emergence(0.05, 0.05, joint)
    assert judgement.judge == "judge-of-hashes"


def test_a_candidate_that_cannot_be_judged_is_failed(
    run: Any, judge: Any, workspace: Any, tally: Any
) -> None:
    bad = PAIR._replace(id="bad", text="boom", text_id="boom")
    out = run(JudgePairs(judge, workspace, tally), [PAIR, bad])
    assert [j.candidate.id for j in out["judgements"]] == ["id"]
    assert [(row.id, row.name, row.modality) for row in out["failed"]] == [("bad", "image+boom", "candidate")]
