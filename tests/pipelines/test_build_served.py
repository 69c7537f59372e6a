"""A build whose texts and judgements come from servers: what their death and their being busy do to it."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import NamedTuple

import pytest

from tests import checkpoints
from tests.builds import ANY_SCORE, Built, build
from tests.pipelines.test_build_models import SCENARIOS
from tests.served import Asked, Served, judge_server, text_server

pytestmark = pytest.mark.timeout(600)
PROFILE = """
[build]
name = "served"

[images]
count = 12

[texts]
source = ["language", "{folder}/texts.csv"]

[texts.language]
endpoint = {{ url = "{texts}", model = "{folder}/lm", concurrency = 1 }}
max_tokens = 60
temperature = 0.8
attempts = 1
per_query = 5

[scenarios]
source = "{folder}/scenarios.toml"

[dedupe.split]
train = 1.0
validation = 0.0
test = 0.0
test_ood = 0.0

[judge]
policy = "everyday"
endpoint = {{ url = "{judge}", model = "judge", concurrency = 3 }}

[pair]
baseline_candidates = 4
candidates_per_scenario = 4
uses_per_scenario = 1

[contrast]
neighbours = 8
"""
ONE_TRY = ("texts.language.endpoint.attempts=1", "judge.endpoint.attempts=1")
ORDERS = 2


class Run(NamedTuple):
    """A build, and what it asked the two servers."""

    built: Built
    texts: list[Asked]
    judge: list[Asked]
    stored: int
    """Answers in the caches of its work directory afterwards."""


class Runs(NamedTuple):
    """Three runs of one profile; the first two share a work directory."""

    broken: Run
    """Both servers died in the middle."""
    resumed: Run
    """They were back, and busy at first."""
    whole: Run
    """Nothing was wrong, and nothing was known."""


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Models, scenarios and a few texts."""
    root = tmp_path_factory.mktemp("served")
    checkpoints.chat_model(root / "lm")
    checkpoints.qwen_vl(root / "qwen")
    (root / "scenarios.toml").write_text(SCENARIOS)
    (root / "texts.csv").write_text(
        "\n".join(["text", "taste it now", "come and look here", "well done today"])
    )
    return root


@pytest.fixture(scope="module")
def servers(folder: Path) -> Iterator[tuple[Served, Served]]:
    """`transformers serve` for texts, and a server with logprobs for the judge."""
    pair = Served(text_server, folder / "lm"), Served(judge_server, folder / "qwen")
    (folder / "profile.toml").write_text(PROFILE.format(folder=folder, texts=pair[0].url, judge=pair[1].url))
    try:
        _start(pair)
        yield pair
    finally:
        for served in pair:
            served.close()


def _start(servers: tuple[Served, Served]) -> None:
    for served in servers:
        served.start()
    for served in servers:
        served.wait()


def _run(folder: Path, name: str, work: str, servers: tuple[Served, Served], *settings: str) -> Run:
    for served in servers:
        served.asked.clear()
    profile = ("--profile", str(folder / "profile.toml"))
    built = build(folder / name / "out", folder / work, *profile, settings=[*ANY_SCORE, *settings])
    stored = sum(map(_count, (folder / work / "cache").glob("*.sqlite")))
    return Run(built, list(servers[0].asked), list(servers[1].asked), stored)


def _count(cache: Path) -> int:
    with closing(sqlite3.connect(cache)) as connection:
        return int(connection.execute("SELECT count(*) FROM results").fetchone()[0])


@pytest.fixture(scope="module")
def runs(folder: Path, servers: tuple[Served, Served]) -> Runs:
    texts, judge = servers
    texts.dies_after, judge.dies_after = 4, 50
    broken = _run(folder, "broken", "work", servers, *ONE_TRY)
    _start(servers)
    texts.dies_after = judge.dies_after = -1
    texts.busy_seconds = judge.busy_seconds = 1.5
    resumed = _run(folder, "resumed", "work", servers)
    return Runs(broken, resumed, _run(folder, "whole", "fresh", servers))


def _reconciles(built: Built) -> bool:
    counts = built.manifest["rows"].values()
    return all(one["rows_in"] == one["written"] + one["excluded"] + one["failed"] for one in counts)


def test_a_build_whose_servers_die_fails_what_was_not_answered_and_says_why(runs: Runs) -> None:
    built = runs.broken.built
    assert _reconciles(built)
    failed = built.rows("failed")
    stages = Counter(row["stage"] for row in failed)
    assert stages["generate"] == 10 - 4
    assert sum(stages.values()) > stages["generate"]
    assert {row["error"] for row in failed} == {"EndpointError"}
    assert all("cannot be reached" in row["detail"] and "server runs" in row["detail"] for row in failed)


def test_what_was_answered_before_the_death_is_not_asked_again(runs: Runs) -> None:
    answered = {one.body for one in runs.broken.texts if one.status == 200}
    asked = {one.body for one in runs.resumed.texts}
    assert len(answered) == 4 and answered.isdisjoint(asked)
    assert answered | asked == {one.body for one in runs.whole.texts}
    before = sum(one.status == 200 for one in runs.broken.judge)
    after = sum(one.status == 200 for one in runs.resumed.judge)
    whole = len(runs.whole.judge)
    # A question that was answered in one order of the options only is asked in both again.
    assert whole <= before + after < whole + before


def test_a_busy_server_is_waited_for_and_nothing_fails(runs: Runs) -> None:
    for asked in (runs.resumed.texts, runs.resumed.judge):
        assert Counter(one.status for one in asked).keys() == {429, 200}
    assert runs.resumed.built.rows("failed") == []
    assert _reconciles(runs.resumed.built)


def test_death_and_waiting_leave_no_trace_in_the_dataset(runs: Runs) -> None:
    assert {one.status for one in (*runs.whole.texts, *runs.whole.judge)} == {200}
    assert runs.resumed.built.digests == runs.whole.built.digests
    assert runs.resumed.stored >= runs.whole.stored
    rows = runs.whole.built.rows("data")
    assert {row["text_source"] for row in rows} >= {"language"}
    assert {row["judge"] for row in rows} == {"judge"}
