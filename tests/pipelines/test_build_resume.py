"""Same inputs, same bytes: whatever the workers, after `kill -9`, and without asking a model twice."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from statistics import median

import pytest

from pipelines.storage.claim import MARK
from tests.builds import ANY_SCORE, Built, build, build_until, few_scenarios, start

pytestmark = pytest.mark.timeout(900)
Resumed = tuple[list[dict[str, int]], Built]
SMALL = [
    *ANY_SCORE,
    # More than a chunk of the sources, so that two workers share them.
    "images.count=300",
    "texts.count=300",
    "pair.candidates_per_scenario=3",
    "pair.uses_per_scenario=1",
    "pair.baseline_candidates=40",
    "contrast.neighbours=10",
    # Under a cap that binds, a pair that a threshold takes out would let another one in, which is new to models.
    "select.max_uses=1000",
    "select.max_per_mechanism=1000",
]


@pytest.fixture(scope="session")
def settings(tmp_path_factory: pytest.TempPathFactory) -> list[str]:
    """The overrides of a small world."""
    return [*SMALL, few_scenarios(tmp_path_factory.mktemp("scenarios"))]


@pytest.fixture(scope="session")
def small(settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Built:
    """A small world, built at one go."""
    root = tmp_path_factory.mktemp("small")
    return build(root / "world", root / "work", settings=settings)


@pytest.fixture(scope="session")
def resumed(small: Built, settings: list[str], tmp_path_factory: pytest.TempPathFactory) -> Resumed:
    """The same world, killed at three moments and run again: results stored after each kill, and the build."""
    root = tmp_path_factory.mktemp("killed")
    out, work = root / "world", root / "work"
    judged = work / "cache" / f"{small.manifest['models']['judge']}.sqlite"
    moments: list[Callable[[], bool]] = [
        lambda: sum(_stored(work).values()) > 0,
        lambda: _count(judged, "key NOT LIKE '+%' AND key NOT LIKE '%+'") > 0,
        lambda: any((out / "data").glob(".*.part")) or any((out / "data").glob("*.parquet")),
    ]
    stored = []
    for moment in moments:
        build_until(moment, out, work, settings)
        assert not (out / "manifest.json").exists()
        stored.append(_stored(work))
    return stored, build(out, work, settings=settings)


def _count(database: Path, condition: str = "true") -> int:
    if not database.exists():
        return 0
    try:
        with closing(sqlite3.connect(database, timeout=60)) as connection:
            return int(connection.execute(f"SELECT count(*) FROM results WHERE {condition}").fetchone()[0])
    except sqlite3.OperationalError:
        return 0  # it is being made


def _stored(work: Path) -> dict[str, int]:
    """How many results each cache holds."""
    return {path.stem: _count(path) for path in sorted((work / "cache").glob("*.sqlite"))}


def test_the_small_world_has_pairs_in_every_split(small: Built) -> None:
    roles = {(row["split"], row["role"]) for row in small.rows("data", ["role"])}
    assert len(roles) == 12  # no benign pairs, as all rows of so few parts are partners


def test_every_model_call_is_stored_once(small: Built) -> None:
    assert all(small.inferred().values())
    assert sum(small.inferred().values()) == sum(_stored(small.work).values())


def test_two_worker_processes_write_the_same_bytes(small: Built, settings: list[str], tmp_path: Path) -> None:
    flags = ("--direct_running_mode=multi_processing", "--direct_num_workers=2")
    two = build(tmp_path / "world", tmp_path / "work", *flags, settings=settings)
    assert two.manifest["run"]["engine"] == "FnApiRunner (multi_processing, 2 workers)"
    assert two.digests == small.digests
    ours, theirs = ({k: v for k, v in b.manifest.items() if k != "run"} for b in (small, two))
    assert ours == theirs


def test_a_killed_build_ends_with_the_same_bytes(small: Built, resumed: Resumed) -> None:
    _, last = resumed
    assert last.digests == small.digests
    suffixes = {path.suffix for path in last.out.rglob("*") if path.is_file()}
    assert suffixes == {".parquet", ".json", ".html", ".md"}


@pytest.mark.parametrize("name", ["README.md", "croissant.json"])
def test_a_killed_build_is_described_in_the_same_bytes(name: str, small: Built, resumed: Resumed) -> None:
    assert (resumed[1].out / name).read_bytes() == (small.out / name).read_bytes()


def test_an_interrupted_build_says_how_to_go_on_and_leaves_the_dataset_that_was_there(
    small: Built, settings: list[str]
) -> None:
    before = small.digests
    running = start(
        small.out, small.work, settings=[*settings, "build.seed=1"], log=small.work / "interrupted"
    )
    while not (small.out / MARK).exists() or not list((small.work / "runs").glob("*/progress/*.json")):
        time.sleep(0.05)
        assert not running.ended
    running.interrupt()
    assert running.wait(60) == 130
    said = running.said[1]
    assert "stopped; the same command goes on" in said and "Traceback" not in said
    assert small.digests == before
    again = build(small.out, small.work, settings=settings)
    assert again.digests == before and not (small.out / MARK).exists()


def test_the_moments_of_the_kills_differ(resumed: Resumed) -> None:
    first, second, third = (sum(caches.values()) for caches in resumed[0])
    assert first < second < third


def test_a_killed_build_asks_no_model_what_was_answered(small: Built, resumed: Resumed) -> None:
    stored, last = resumed
    complete = _stored(small.work)
    assert _stored(last.work) == complete
    assert sum(stored[-1].values()) + sum(last.inferred().values()) == sum(complete.values())


def test_a_second_build_calls_no_model_and_writes_the_same_bytes(
    small: Built, settings: list[str], resumed: Resumed
) -> None:
    _, last = resumed
    again = build(last.out, last.work, settings=settings)
    assert set(again.inferred().values()) == {0}
    assert again.digests == small.digests


def test_a_tighter_threshold_calls_no_model_and_draws_nothing_again(
    small: Built, settings: list[str], tmp_path: Path
) -> None:
    before = small.rows("data", ["id", "role", "emergence", "contrast_group"])
    middle = median(row["emergence"] for row in before if row["role"] == "emergent")
    higher = [*settings, f"select.min_emergence={middle}"]
    tighter = build(tmp_path / "world", small.work, settings=higher)
    inferred = tighter.inferred()
    composed_anew = inferred.pop("compose")
    assert set(inferred.values()) == {0}
    after = tighter.rows("data", ["id", "role", "emergence", "contrast_group"])
    assert composed_anew <= len(set(_drawn(after)) - set(_drawn(before)))
    kept = {row["id"] for row in after if row["role"] == "emergent"}
    dropped = small.rows("excluded", ["id", "reason"])
    spare = {row["id"] for row in dropped if row["reason"] == "no_contrast_set"}
    assert kept < spare | {row["id"] for row in before if row["role"] == "emergent"}
    assert kept


def _drawn(rows: list[dict[str, str]]) -> Iterator[tuple[str, str]]:
    """What decides a composed picture: the pair, and the group, which decides its style."""
    return ((row["id"], row["contrast_group"]) for row in rows)
