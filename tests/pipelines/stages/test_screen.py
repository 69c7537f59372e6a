import json
from typing import Any

import pytest

from pipelines.calibration import Scaling
from pipelines.stages.screen import Member, Screen
from schemas import config
from schemas.records import Score


def _members(classifier: Any, judge: Any) -> list[Member]:
    return [Member("classifier:bad-words", classifier, 0.5), Member("judge", judge, 0.5, asked=True)]


@pytest.fixture
def screen_texts(classifier: Any, judge: Any, workspace: Any, tally: Any) -> Screen:
    members = _members(classifier, judge)
    return Screen(config.Screen(), "text", members, workspace=workspace, tally=tally)


def test_any_member_excludes_and_every_text_comes_out_once(run: Any, screen_texts: Screen, text: Any) -> None:
    texts = [text(words) for words in ("fine", "a bad word", "an evil plan", "boom", "fine too")]
    out = run(screen_texts, texts)
    assert sorted(asset.text for asset in out["kept"]) == ["fine", "fine too"]
    assert sorted(row.name for row in out["excluded"]) == ["a bad word", "an evil plan"]
    assert [(row.name, row.error, row.stage) for row in out["failed"]] == [("boom", "ValueError", "screen")]


def test_a_kept_text_carries_every_score_rounded(run: Any, screen_texts: Screen, text: Any) -> None:
    (kept,) = run(screen_texts, [text("fine")])["kept"]
    assert kept.screening == (Score("classifier:bad-words", 0.1), Score("judge", 0.05))


def test_an_excluded_text_says_why(run: Any, screen_texts: Screen, text: Any) -> None:
    (row,) = run(screen_texts, [text("an evil plan")])["excluded"]
    assert (row.reason, row.score, row.threshold) == ("harmful_alone", 0.8, 0.5)
    assert json.loads(row.detail) == {"classifier:bad-words": 0.1, "judge": 0.8}


def test_by_their_mean_two_unsure_members_exclude_and_one_alone_does_not(
    *, run: Any, text: Any, classifier: Any, judge: Any, workspace: Any, tally: Any
) -> None:
    by_mean = config.Screen(rule="mean", mean_threshold=0.5)
    screen = Screen(by_mean, "text", _members(classifier, judge), workspace=workspace, tally=tally)
    out = run(screen, [text("an evil bad plan"), text("an evil plan"), text("a plan")])
    (row,) = out["excluded"]
    assert (row.name, row.score, row.threshold) == ("an evil bad plan", 0.85, 0.5)
    assert sorted(asset.text for asset in out["kept"]) == ["a plan", "an evil plan"]


def test_a_members_answer_is_calibrated(
    *, run: Any, text: Any, judge: Any, workspace: Any, tally: Any
) -> None:
    member = Member("judge", judge, 0.9, Scaling(1.0, 2.0), asked=True)
    screen = Screen(config.Screen(), "text", [member], workspace=workspace, tally=tally)
    (row,) = run(screen, [text("an evil plan")])["excluded"]
    assert row.score == round(Scaling(1.0, 2.0).of(0.8), 4)


def test_answers_are_cached_under_the_ids_of_the_parts(
    run: Any, screen_texts: Screen, text: Any, workspace: Any, judge: Any
) -> None:
    asset = text("fine")
    run(screen_texts, [asset, asset])
    assert list(workspace.cache(judge.fingerprint()).get_many([f"+{asset.id}"])) == [f"+{asset.id}"]
    assert len(workspace.cache(judge.fingerprint())) == 1


def test_images_are_screened_by_their_blob_ids(
    *, run: Any, image: Any, classifier: Any, judge: Any, workspace: Any, tally: Any
) -> None:
    members = _members(classifier, judge)
    screen = Screen(config.Screen(), "image", members, workspace=workspace, tally=tally)
    assets = [image("one")._replace(id="bad"), image("two")]
    out = run(screen, assets)
    assert [row.id for row in out["excluded"]] == ["bad"]
    assert [asset.id for asset in out["kept"]] == [assets[1].id]
    assert len(workspace.cache(judge.fingerprint()).get_many([f"{assets[1].id}+"])) == 1
