import json
from typing import Any

import pytest

from pipelines.stages.screen import Firing, Screen, first_firing
from schemas import config
from schemas.records import Score

MEMBERS = [Score("classifier:a", 0.7), Score("judge", 0.6)]


def test_the_highest_firing_member_is_named() -> None:
    assert first_firing(MEMBERS, [0.5, 0.5]) == Firing(MEMBERS[0], 0.5)
    assert first_firing(MEMBERS, [0.8, 0.6]) == Firing(MEMBERS[1], 0.6)


def test_no_member_fires_below_its_threshold() -> None:
    assert first_firing(MEMBERS, [0.71, 0.61]) is None


@pytest.fixture
def screen_texts(classifier: Any, judge: Any, workspace: Any, tally: Any) -> Screen:
    return Screen(config.Screen(), "text", classifier, judge, workspace=workspace, tally=tally)


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
    screen = Screen(config.Screen(), "image", classifier, judge, workspace=workspace, tally=tally)
    assets = [image("one")._replace(id="bad"), image("two")]
    out = run(screen, assets)
    assert [row.id for row in out["excluded"]] == ["bad"]
    assert [asset.id for asset in out["kept"]] == [assets[1].id]
    assert len(workspace.cache(judge.fingerprint()).get_many([f"{assets[1].id}+"])) == 1
