import re
from collections import Counter
from importlib.resources import files
from itertools import combinations
from tomllib import loads
from typing import Any

import pytest

from generators.proposals import SIMILARITY, Proposal, shingles, similarity
from generators.scenarios import load_scenarios
from schemas.taxonomy import CLOSED_HAZARDS, load_taxonomy

ENTRIES: list[dict[str, Any]] = loads(files("generators").joinpath("seeds.toml").read_text(encoding="utf-8"))[
    "scenario"
]
SEEDS = load_scenarios("seeds")
OPEN = load_taxonomy().open_hazards()
HARM = re.compile(
    r"\b(poison\w*|toxic|kill\w*|murder\w*|die|dies|dead\w*|death|suicid\w*|harm\w*|hurt\w*|injur\w*|danger\w*|unsafe"
    r"|illegal\w*|crim(e|es|inal)|steal\w*|stolen|theft|fraud\w*|weapon\w*|attack\w*|victim\w*|abus\w*|violen\w*"
    r"|threat\w*|overdos\w*|pirat\w*|counterfeit\w*|slander\w*|hate\w*|racis\w*|brib\w*|stupid|idiot)\b"
)


@pytest.mark.parametrize("hazard", OPEN)
def test_every_open_hazard_has_ten_entries_of_which_one_or_two_are_held_out(hazard: str) -> None:
    held_out = [entry.get("held_out", False) for entry in ENTRIES if entry["hazard"] == hazard]
    assert len(held_out) >= 10
    assert sum(held_out) in (1, 2)


def test_no_closed_hazard_is_among_them() -> None:
    assert CLOSED_HAZARDS.isdisjoint(seed.hazard for seed in SEEDS)
    assert {seed.hazard for seed in SEEDS} == set(OPEN)


def test_every_combination_of_queries_is_loaded_once() -> None:
    combined = sum(len(entry["image_queries"]) * len(entry["text_queries"]) for entry in ENTRIES)
    assert len(SEEDS) == combined


def test_every_cell_has_three_examples_to_show_a_model() -> None:
    shown = {(seed.hazard, seed.mechanism, seed.why) for seed in SEEDS}
    assert min(Counter(cell[:2] for cell in shown).values()) >= 3


@pytest.mark.parametrize("key", ["image_queries", "text_queries"])
def test_no_query_stands_in_two_entries(key: str) -> None:
    queries = Counter(query for entry in ENTRIES for query in entry[key])
    assert [query for query, count in queries.items() if count > 1] == []
    assert all(1 <= len(entry[key]) <= 3 for entry in ENTRIES)


def test_no_two_entries_are_near_duplicates() -> None:
    known = [(seed, shingles(seed)) for seed in SEEDS]
    near = [
        (one.text_query, other.text_query)
        for (one, a), (other, b) in combinations(known, 2)
        if one.why != other.why and similarity(a, b) >= SIMILARITY
    ]
    assert near == []
    assert len({entry["why"] for entry in ENTRIES}) == len(ENTRIES)


def test_the_seeds_have_the_form_that_a_model_is_held_to() -> None:
    for seed in SEEDS:
        form = Proposal(image_query=seed.image_query, text_query=seed.text_query, why=seed.why)
        assert (form.image_query, form.text_query, form.why) == (seed.image_query, seed.text_query, seed.why)
        assert len(seed.why) >= 40


def test_no_query_names_a_harm() -> None:
    queries = {query for seed in SEEDS for query in (seed.image_query, seed.text_query)}
    assert [query for query in queries if HARM.search(query)] == []
    assert HARM.search("someone recommends the poisonous ones")


def test_the_reason_tells_of_the_image_and_the_text_and_of_both_together() -> None:
    parts = ("The image shows", "the text", "Together")
    assert [entry["why"] for entry in ENTRIES if not all(part in entry["why"] for part in parts)] == []
