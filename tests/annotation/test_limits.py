"""Opt-outs and the daily cap, as the server reads them."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.server.crossharm.limits import Limits, format_limits, parse_limits, read_limits

EMAILS = st.from_regex(r"[a-z]{1,5}@example\.org", fullmatch=True)
HAZARDS = st.frozensets(st.sampled_from(["ssh", "phy", "prv"]), min_size=1)


@given(st.integers(0, 10**6), st.dictionaries(EMAILS, HAZARDS))
def test_what_is_written_is_read_again(cap: int, people: dict[str, frozenset[str]]) -> None:
    limits = Limits(cap, tuple(sorted(people.items())))
    assert parse_limits(format_limits(limits)) == limits


def test_an_address_is_the_same_in_capitals() -> None:
    limits = parse_limits('{"opt_outs": {"Ada@Example.org": ["ssh", "phy"]}}')
    assert limits.hidden_from(" ADA@example.ORG") == {"ssh", "phy"}
    assert limits.hidden_from("bob@example.org") == frozenset()


@pytest.mark.parametrize(
    "text", ["", "[]", '{"daily_cap": -1}', '{"daily_cap": true}', '{"opt_outs": []}', '{"optouts": {}}']
)
def test_a_damaged_file_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        parse_limits(text)


def test_a_changed_file_counts_at_once(tmp_path: Path) -> None:
    path = tmp_path / "limits.json"
    path.write_text('{"daily_cap": 1}')
    assert read_limits(path).daily_cap == 1
    path.write_text('{"daily_cap": 2}')
    os.utime(path, ns=(1, 1))
    assert read_limits(path).daily_cap == 2


def test_without_the_file_nobody_is_shown_anything(tmp_path: Path) -> None:
    with pytest.raises(OSError):
        read_limits(tmp_path / "limits.json")
