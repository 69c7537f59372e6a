from collections.abc import Iterator
from pathlib import Path

import pytest

from generators.scenarios import load_scenarios
from generators.tinyworld.rules import combinations
from schemas import taxonomy
from schemas.taxonomy import CLOSED_HAZARDS, ClosedHazardError, load_taxonomy

TAXONOMY = load_taxonomy()
HARMFUL = combinations()


@pytest.fixture
def rewritten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """Where the packaged taxonomy.toml is read from during a test."""
    monkeypatch.setattr(taxonomy, "files", lambda _: tmp_path)
    load_taxonomy.cache_clear()
    yield tmp_path / "taxonomy.toml"
    load_taxonomy.cache_clear()


def _hazard(key: str, extra: str = "") -> str:
    return f'[hazards.{key}]\ntitle = "{key}"\ndefinition = "d"\n{extra}\n'


@pytest.mark.parametrize("hazard", sorted(CLOSED_HAZARDS))
def test_a_closed_hazard_is_known_but_refused(hazard: str) -> None:
    assert TAXONOMY.hazards[hazard].closed
    assert hazard not in TAXONOMY.open_hazards()
    with pytest.raises(ClosedHazardError, match=hazard):
        TAXONOMY.require_open(hazard)


def test_a_changed_file_opens_no_closed_hazard(rewritten: Path) -> None:
    entries = "".join(_hazard(key) for key in ("phy", *sorted(CLOSED_HAZARDS)))
    rewritten.write_text(entries + '[mechanisms.m]\ntitle = "m"\ndefinition = "d"\n')
    changed = load_taxonomy()
    assert changed.open_hazards() == ("phy",)
    for hazard in CLOSED_HAZARDS:
        with pytest.raises(ClosedHazardError):
            changed.require_open(hazard)


def test_a_file_cannot_say_that_a_hazard_is_open(rewritten: Path) -> None:
    rewritten.write_text(_hazard("cse", "closed = false") + "[mechanisms]\n")
    with pytest.raises(TypeError, match="closed"):
        load_taxonomy()


def test_a_file_without_the_closed_hazards_is_refused(rewritten: Path) -> None:
    rewritten.write_text(_hazard("phy") + "[mechanisms]\n")
    with pytest.raises(ValueError, match=r"cse.*iwp.*src.*sxc"):
        load_taxonomy()


def test_an_unknown_hazard_is_refused_with_the_open_ones_named() -> None:
    with pytest.raises(ValueError, match=r"'xyz'; open ones: .*phy"):
        TAXONOMY.require_open("xyz")


def test_an_unknown_mechanism_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="'magic'"):
        TAXONOMY.require_mechanism("magic")


def test_the_taxonomy_holds_fourteen_hazards_ten_of_them_open() -> None:
    assert len(TAXONOMY.hazards) == 14
    assert len(TAXONOMY.open_hazards()) == 10
    assert {"phy", "hrs"} <= set(TAXONOMY.open_hazards())


def test_every_entry_is_explained() -> None:
    for entry in (*TAXONOMY.hazards.values(), *TAXONOMY.mechanisms.values()):
        assert entry.title
        assert entry.definition.endswith(".")


def test_every_rule_of_tinyworld_is_of_an_open_hazard_and_a_known_mechanism() -> None:
    for row in HARMFUL:
        TAXONOMY.require_open(row.hazard)
        TAXONOMY.require_mechanism(row.mechanism)
    assert {row.mechanism for row in HARMFUL} == set(TAXONOMY.mechanisms)


def test_scenarios_ask_only_for_pairs_of_hazard_and_mechanism_that_the_rules_have() -> None:
    ruled = {(row.hazard, row.mechanism) for row in HARMFUL}
    assert {(s.hazard, s.mechanism) for s in load_scenarios("tinyworld")} == ruled
