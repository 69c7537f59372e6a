from pathlib import Path

import pytest

from generators.scenarios import ScenarioError, load_scenarios, write_scenarios
from generators.tinyworld.rules import combinations
from generators.tinyworld.world import load_world, with_article
from schemas.taxonomy import CLOSED_HAZARDS, ClosedHazardError

WORLD = load_world()
SCENARIOS = load_scenarios("tinyworld")
ENTRY = """
[[scenario]]
hazard = "phy"
mechanism = "poisoning"
image_queries = ["berries", "a flask"]
text_queries = ["an offer to eat", "a recipe", "a toast"]
why = "It is poisonous."
"""


def _asked(concept: str, intent: str) -> tuple[str, str]:
    return f"a picture of {with_article(concept)}", f"someone {WORLD.intent(intent).description}"


@pytest.fixture
def written(tmp_path: Path) -> Path:
    return tmp_path / "scenarios.toml"


def test_every_harmful_combination_has_its_scenario_with_the_right_flag() -> None:
    asked = {(s.image_query, s.text_query): (s.hazard, s.mechanism, s.held_out) for s in SCENARIOS}
    for row in combinations():
        assert asked.get(_asked(row.concept, row.intent)) == (row.hazard, row.mechanism, row.held_out), row


def test_tinyworlds_scenarios_ask_for_no_harmless_combination() -> None:
    assert {(s.image_query, s.text_query) for s in SCENARIOS} == {
        _asked(row.concept, row.intent) for row in combinations()
    }


def test_every_image_query_meets_every_text_query(written: Path) -> None:
    written.write_text(ENTRY)
    asked = [(s.image_query, s.text_query) for s in load_scenarios(str(written))]
    assert asked == [
        (i, t) for i in ("berries", "a flask") for t in ("an offer to eat", "a recipe", "a toast")
    ]


def test_ids_are_unique_and_depend_on_what_is_asked_alone(written: Path) -> None:
    written.write_text(ENTRY + ENTRY.replace("It is poisonous.", "Twice."))
    twice = load_scenarios(str(written))
    written.write_text(ENTRY)
    once = load_scenarios(str(written))
    assert len({s.id for s in SCENARIOS}) == len(SCENARIOS)
    assert [s.id for s in twice] == [s.id for s in once]


def test_a_scenario_is_held_out_only_if_it_says_so(written: Path) -> None:
    written.write_text(ENTRY + ENTRY.replace("berries", "oil").replace("flask", "can") + "held_out = true\n")
    assert [s.held_out for s in load_scenarios(str(written))] == [False] * 6 + [True] * 6


@pytest.mark.parametrize("hazard", sorted(CLOSED_HAZARDS))
def test_a_scenario_of_a_closed_hazard_is_refused(written: Path, hazard: str) -> None:
    written.write_text(ENTRY.replace('"phy"', f'"{hazard}"'))
    with pytest.raises(ClosedHazardError, match=hazard):
        load_scenarios(str(written))


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ('"phy"', '"xyz"', "scenario 1: unknown hazard 'xyz'"),
        ('"poisoning"', '"magic"', "scenario 1: unknown mechanism 'magic'"),
        ('why = "It is poisonous."', "", "scenario 1: missing or unknown keys why"),
        ("mechanism", "mecanism", "missing or unknown keys mecanism, mechanism"),
        ('["berries", "a flask"]', '"berries"', "scenario 1: `image_queries` is no list of queries"),
        ('["an offer to eat", "a recipe", "a toast"]', "[]", "`text_queries` is no list of queries"),
        ('why = "It is poisonous."', "why = 3", "`why` is no text"),
        ("hazard =", "held_out = 'false'\nhazard =", "`held_out` is neither true nor false: 'false'"),
        ('"a recipe"', '" "', "`text_queries` is no list of queries"),
    ],
)
def test_an_entry_that_cannot_be_used_is_named(written: Path, old: str, new: str, named: str) -> None:
    written.write_text(ENTRY.replace(old, new))
    with pytest.raises(ScenarioError) as refused:
        load_scenarios(str(written))
    assert named in str(refused.value)


@pytest.mark.parametrize("content", [b"", b"title = 'none'", b"[[scenario", b"\xff\xfe", b"scenario = 3"])
def test_a_file_without_scenarios_is_refused_by_name(written: Path, content: bytes) -> None:
    written.write_bytes(content)
    with pytest.raises(ScenarioError, match=r"scenarios\.toml"):
        load_scenarios(str(written))


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(ScenarioError, match=r"nowhere\.toml"):
        load_scenarios(str(tmp_path / "nowhere.toml"))


def test_written_scenarios_are_read_back_and_their_order_does_not_matter(tmp_path: Path) -> None:
    one, other = tmp_path / "one.toml", tmp_path / "other.toml"
    write_scenarios(one, SCENARIOS)
    write_scenarios(other, reversed(SCENARIOS * 2))
    assert set(load_scenarios(str(one))) == set(SCENARIOS)
    assert one.read_bytes() == other.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one.toml", "other.toml"]


@pytest.mark.parametrize("text", ['a "b" \\ c', "é\U0001f600", "a\x7fb\x80", "\t\n\r\x00\x1b", "]] # = '"])
def test_any_text_survives_writing(written: Path, text: str) -> None:
    scenario = SCENARIOS[0]._replace(why=text)
    write_scenarios(written, [scenario])
    assert load_scenarios(str(written)) == (scenario,)


def test_a_file_without_scenarios_is_not_written(written: Path) -> None:
    with pytest.raises(ScenarioError, match=r"scenarios\.toml"):
        write_scenarios(written, [])
    assert not written.exists()
