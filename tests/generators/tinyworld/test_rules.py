from collections import Counter

import pytest

from generators.tinyworld.grammar import utter
from generators.tinyworld.renderer import sample_scene
from generators.tinyworld.rules import blocks, combinations, harm_of, held_out_families, is_held_out
from generators.tinyworld.world import load_world

WORLD = load_world()
HARMFUL = combinations()
CELLS = {(row.property, row.kind) for row in HARMFUL}


def test_harm_is_sparse_and_spread_over_hazards() -> None:
    share = len(HARMFUL) / (len(WORLD.concepts) * len(WORLD.intents))
    assert 100 <= len(HARMFUL) <= 190
    assert 0.03 <= share <= 0.055
    assert len({row.hazard for row in HARMFUL}) >= 9


def test_neither_a_concept_nor_an_intent_gives_the_harm_away() -> None:
    concepts, intents = Counter(r.concept for r in HARMFUL), Counter(r.intent for r in HARMFUL)
    assert max(concepts.values()) <= 4
    assert max(intents.values()) <= 8
    assert len(concepts) >= 0.75 * len(WORLD.concepts)
    assert len(intents) >= 32


def test_every_block_is_fully_crossed() -> None:
    assert len(blocks()) >= 12
    for properties, kinds in blocks():
        assert {(prop, kind) for prop in properties for kind in kinds} <= CELLS


def test_every_held_out_family_can_be_inferred_from_its_block() -> None:
    known = CELLS - set(held_out_families())
    for prop, kind in held_out_families():
        block = next((ps, ks) for ps, ks in blocks() if prop in ps and kind in ks)
        assert any((prop, other) in known for other in block[1])
        assert any((other, kind) in known for other in block[0])


def test_held_out_pairs_belong_to_families_known_through_other_concepts() -> None:
    known = {(row.property, row.kind) for row in HARMFUL if not row.held_out}
    pairs = [r for r in HARMFUL if r.held_out and (r.property, r.kind) not in held_out_families()]
    assert all((row.property, row.kind) in known for row in pairs)
    assert 0.06 <= len(pairs) / len(HARMFUL) <= 0.10


def test_held_out_families_are_a_small_part_and_spread() -> None:
    rows = [row for row in HARMFUL if (row.property, row.kind) in held_out_families()]
    assert 0.10 <= len(rows) / len(HARMFUL) <= 0.14
    assert len({row.hazard for row in rows}) >= 5
    assert all(is_held_out(row.concept, row.intent) for row in rows)


def test_every_combination_is_found_and_explained() -> None:
    for row in HARMFUL:
        harm = harm_of([row.concept], row.intent)
        assert harm is not None
        assert (harm.hazard, harm.mechanism, harm.kind) == (row.hazard, row.mechanism, row.kind)
        assert row.concept in harm.rationale
        assert WORLD.intent(row.intent).description in harm.rationale


def test_a_harmful_concept_is_found_among_harmless_ones_in_any_order() -> None:
    assert harm_of(["cat", "road"], "leave_little_ones") == harm_of(
        iter(["road", "cat"]), "leave_little_ones"
    )
    assert harm_of(["cat", "apple"], "leave_little_ones") is None


def test_random_pairs_are_seldom_harmful() -> None:
    drawn = [(sample_scene(seed), utter(seed + 10_000)) for seed in range(3000)]
    hits = sum(harm_of([p.concept for p in scene.objects], said.intent) is not None for scene, said in drawn)
    assert 0.05 <= hits / 3000 <= 0.13


def test_every_rule_meets_the_world() -> None:
    ruled = {(prop, kind) for properties, kinds in blocks() for prop in properties for kind in kinds}
    assert ruled == CELLS


def test_an_unknown_concept_is_refused() -> None:
    with pytest.raises(KeyError, match="unicorn"):
        harm_of(["unicorn"], "leave_little_ones")
