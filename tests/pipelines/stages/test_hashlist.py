import logging
import pickle
import random
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.progress import Tally, read_progress
from pipelines.stages.hashlist import HashList, Quarantine
from schemas.records import Excluded

KNOWN = random.Random(1).getrandbits(256)
OTHER = random.Random(2).getrandbits(256)
hashes = st.integers(0, 2**256 - 1)


def _hex(bits: int, *flipped: int) -> str:
    for place in flipped:
        bits ^= 1 << place
    return f"{bits:064x}"


def _distance(one: int, other: int) -> int:
    return (one ^ other).bit_count()


@pytest.fixture
def write(tmp_path: Path) -> Callable[[str], Path]:
    def write(content: str) -> Path:
        path = tmp_path / "list.txt"
        path.write_bytes(content.encode())
        return path

    return write


def test_a_hash_at_the_distance_matches_and_one_bit_further_does_not() -> None:
    known = HashList([_hex(KNOWN)])
    assert known.matches(_hex(KNOWN, *range(0, 248, 8)))
    assert not known.matches(_hex(KNOWN, *range(0, 256, 8)))


def test_at_distance_zero_only_the_same_hash_matches() -> None:
    known = HashList([_hex(KNOWN)], distance=0)
    assert known.match_many([_hex(KNOWN), _hex(KNOWN).upper(), _hex(KNOWN, 9)]) == [True, True, False]


@settings(deadline=None)
@given(st.lists(hashes, max_size=6), st.lists(hashes, max_size=6), st.integers(0, 128))
def test_matching_agrees_with_counting_bits(known: list[int], asked: list[int], distance: int) -> None:
    matched = HashList([_hex(h) for h in known], distance).match_many([_hex(h) for h in asked])
    assert matched == [any(_distance(a, k) <= distance for k in known) for a in asked]


def test_a_file_is_read_past_comments_blank_lines_and_columns(write: Callable[[str], Path]) -> None:
    lines = [
        "\ufeff# a list",
        "",
        f"  {_hex(KNOWN)} , 87",
        f"{_hex(OTHER).upper()}\t# seen twice",
        " # end",
        "",
    ]
    known = HashList.read(write("\r\n".join(lines)))
    assert len(known) == 2
    assert known.match_many([_hex(KNOWN), _hex(OTHER)]) == [True, True]


@pytest.mark.parametrize("bad", ["secret", _hex(KNOWN)[:63], _hex(KNOWN) + "0", "g" * 64, ",tag", "é" * 64])
def test_a_bad_line_is_named_by_its_number_and_never_repeated(write: Callable[[str], Path], bad: str) -> None:
    with pytest.raises(ValueError, match="line 3:") as refused:
        HashList.read(write(f"# first\n{_hex(KNOWN)}\n{bad}\n{_hex(OTHER)}\n"))
    assert bad not in str(refused.value)
    assert refused.value.__cause__ is None


@pytest.mark.parametrize("content", ["", "# nothing yet\n\n"])
def test_a_list_without_hashes_is_refused(write: Callable[[str], Path], content: str) -> None:
    with pytest.raises(ValueError, match="holds no hashes"):
        HashList.read(write(content))


@pytest.mark.parametrize("distance", [-1, 129])
def test_a_distance_out_of_range_is_refused(distance: int) -> None:
    with pytest.raises(ValueError, match="between 0 and 128"):
        HashList([], distance)


def test_a_question_that_is_no_hash_is_refused_without_repeating_it() -> None:
    with pytest.raises(ValueError, match="hash 1 is no PDQ hash") as refused:
        HashList([_hex(KNOWN)]).match_many([_hex(KNOWN), "secret"])
    assert "secret" not in str(refused.value)


def test_a_list_travels_to_workers_and_prints_without_its_hashes() -> None:
    known = HashList([_hex(KNOWN), _hex(KNOWN)], distance=5)
    assert known.matches(_hex(KNOWN))
    moved = pickle.loads(pickle.dumps(known))  # noqa: S301
    assert repr(moved) == "HashList(1 hashes, distance=5)"
    assert moved.match_many([_hex(KNOWN, 3), _hex(OTHER)]) == [True, False]


@pytest.fixture
def pool(image: Any) -> list[Any]:
    pdqs = [_hex(OTHER), _hex(KNOWN, 1, 2), _hex(OTHER, 7), _hex(KNOWN)]
    return [image(f"telling name {i}")._replace(pdq=pdq) for i, pdq in enumerate(pdqs)]


@pytest.fixture
def quarantine(tmp_path: Path) -> Quarantine:
    return Quarantine(HashList([_hex(KNOWN)]), tally=Tally(str(tmp_path / "run"), "quarantine"))


def test_matches_are_excluded_and_the_others_kept_as_they_were(
    run: Any, pool: list[Any], quarantine: Quarantine
) -> None:
    out = run(quarantine, pool)
    assert sorted(out["kept"]) == sorted([pool[0], pool[2]])
    assert sorted(row.id for row in out["excluded"]) == sorted([pool[1].id, pool[3].id])


def test_the_row_of_a_match_tells_nothing_but_its_id(
    run: Any, pool: list[Any], quarantine: Quarantine
) -> None:
    (row,) = run(quarantine, pool[:2])["excluded"]
    id = pool[1].id
    assert row == Excluded("image", id, id, "screen", "quarantined", score=None, threshold=None, detail="")


def test_nothing_about_a_match_is_logged_or_printed(
    run: Any, pool: list[Any], quarantine: Quarantine, caplog: Any, capfd: Any
) -> None:
    with caplog.at_level(logging.INFO):
        run(quarantine, pool)
    captured = capfd.readouterr()
    said = caplog.text + captured.out + captured.err
    traces = ["telling name", "quarantined", _hex(KNOWN), *(asset.id for asset in pool)]
    assert [trace for trace in traces if trace in said] == []


def test_what_comes_in_is_counted(run: Any, pool: list[Any], quarantine: Quarantine, tmp_path: Path) -> None:
    run(quarantine, pool)
    assert read_progress(tmp_path / "run") == {"quarantine": {"in": 4, "kept": 2, "excluded": 2}}


def test_no_images_give_no_rows(run: Any, quarantine: Quarantine) -> None:
    assert run(quarantine, []) == {"kept": [], "excluded": []}
