import json
from typing import Any

import pytest

from pipelines.stages.candidates import pair_id
from pipelines.stages.emergence import judgement_of
from pipelines.stages.select import Select
from schemas import config
from schemas.records import SPLITS, Candidate, Judgement


def judged(split: str, number: int) -> Judgement:
    """One of 30 pairs of five images and six texts: emergent on the diagonal, ambiguous with the last text."""
    i, t = divmod(number, 6)
    method = "scenario" if i == t else ("random", "clip")[(i + t) % 2]
    image, text = f"{split}-i{i}", f"{split}-t{t}"
    pair = Candidate(
        pair_id(image, text), image, text, "the words", split, method, 0.5, "phy", "poisoning", "s"
    )
    return judgement_of(pair, 0.05, 0.05, 0.96 if i == t else 0.5 if t == 5 else 0.05, "judge")


@pytest.fixture
def judgements() -> list[Judgement]:
    return [judged(split, number) for split in SPLITS for number in range(30)]


def rows_of(out: dict[str, list[Any]]) -> tuple[list[Any], list[Any]]:
    return sorted(out["pairs"], key=str), sorted(out["excluded"], key=str)


def test_every_judgement_comes_out_once_and_with_its_text(run: Any, judgements: Any, tally: Any) -> None:
    pairs, excluded = rows_of(run(Select(config.Select(), 0, tally), judgements))
    ids = [pair.judgement.candidate.id for pair in pairs] + [row.id for row in excluded]
    assert sorted(ids) == sorted(judgement.candidate.id for judgement in judgements)
    assert {pair.judgement.candidate.text for pair in pairs} == {"the words"}


def test_every_split_is_selected_by_itself(run: Any, judgements: Any, tally: Any) -> None:
    whole = rows_of(run(Select(config.Select(), 0, tally), judgements))[0]
    parts = []
    for split in SPLITS:
        own = [judgement for judgement in judgements if judgement.candidate.split == split]
        parts += run(Select(config.Select(), 0, tally), own)["pairs"]
    assert sorted(parts, key=str) == whole
    assert {pair.judgement.candidate.split for pair in whole} == set(SPLITS)


def test_the_order_of_the_input_does_not_matter(run: Any, judgements: Any, tally: Any) -> None:
    select = Select(config.Select(), 0, tally)
    assert rows_of(run(select, judgements)) == rows_of(run(select, judgements[::-1]))


def test_the_same_judgement_twice_is_written_once(run: Any, tally: Any) -> None:
    once = [judged("train", number) for number in range(30)]
    pairs, excluded = rows_of(run(Select(config.Select(), 0, tally), [*once, once[0]]))
    assert [pair.judgement for pair in pairs].count(once[0]) == 1
    assert [row.reason for row in excluded if row.id == once[0].candidate.id] == ["duplicate_pair"]


def test_an_excluded_candidate_keeps_what_was_known_of_it(run: Any, tally: Any) -> None:
    (row,) = run(Select(config.Select(), 0, tally), [judged("train", 5)])["excluded"]
    assert (row.modality, row.stage, row.reason, row.score) == ("candidate", "select", "ambiguous", 0.5)
    assert json.loads(row.detail) == {
        "method": "clip",
        "scenario": "s",
        "anchor": "",
        "image_id": "train-i0",
        "text_id": "train-t5",
        "p_image": 0.05,
        "p_text": 0.05,
        "p_joint": 0.5,
        "emergence": 2.9444,
    }
