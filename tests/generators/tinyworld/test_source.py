import io

from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from generators.tinyworld.grammar import utter
from generators.tinyworld.renderer import objects_of
from generators.tinyworld.source import (
    LICENCE,
    SEED_BITS,
    Scenes,
    Utterances,
    name_of,
    parse_name,
    scene_of,
    seed_of,
)
from generators.tinyworld.train.examples import TRAIN_SEEDS
from generators.tinyworld.world import load_world


@given(st.sampled_from(["scene", "utterance"]), st.integers(0, 2**SEED_BITS - 1), st.booleans())
def test_a_name_says_how_to_make_its_asset_again(kind: str, seed: int, plain: bool) -> None:
    assert parse_name(name_of(kind, seed, plain)) == (seed, plain)


@given(st.integers(0), st.text(), st.integers(0))
def test_no_build_takes_a_seed_of_training(build_seed: int, kind: str, number: int) -> None:
    assert 0 <= seed_of(build_seed, kind, number) < 2**SEED_BITS < TRAIN_SEEDS


def test_pools_are_equal_for_equal_seeds_and_differ_for_others() -> None:
    assert list(Scenes(20, 0.1, 7).rows()) == list(Scenes(20, 0.1, 7).rows())
    assert not set(Scenes(20, 0.1, 7).names()) & set(Scenes(20, 0.1, 8).names())
    assert list(Utterances(20, 0.1, 7).rows()) == list(Utterances(20, 0.1, 7).rows())


def test_a_larger_pool_begins_with_the_smaller_one() -> None:
    assert list(Scenes(30, 0.1, 0).names())[:10] == list(Scenes(10, 0.1, 0).names())


def test_scenes_and_utterances_of_a_build_share_no_seed() -> None:
    seeds = [{parse_name(name)[0] for name in pool(500, 0.0, 0).names()} for pool in (Scenes, Utterances)]
    assert len(seeds[0]) == len(seeds[1]) == 500
    assert not seeds[0] & seeds[1]


def test_about_the_wanted_share_is_harmful_by_itself() -> None:
    plain = sum(parse_name(name)[1] for name in Scenes(4000, 0.04, 0).names())
    assert 120 <= plain <= 200
    assert not any(parse_name(name)[1] for name in Scenes(500, 0.0, 0).names())
    assert all(parse_name(name)[1] for name in Utterances(500, 1.0, 0).names())


def test_a_scene_says_where_it_came_from() -> None:
    for row in Scenes(30, 0.3, 0).rows():
        made, (seed, _) = row.provenance, parse_name(row.locator)
        assert (made.source, made.name, made.origin) == ("tinyworld", row.locator, "generated")
        assert (made.licence, made.seed) == (LICENCE, seed)
        assert objects_of(made.prompt) == tuple(o.concept for o in scene_of(row.locator).objects)
        assert made.caption


def test_only_plainly_harmful_scenes_have_a_motif() -> None:
    for name in Scenes(60, 0.5, 0).names():
        assert (scene_of(name).motif is not None) == parse_name(name)[1]


def test_reading_a_scene_gives_the_same_bytes_every_time() -> None:
    first, other = list(Scenes(2, 0.0, 0).names())
    drawn = Scenes(2, 0.0, 0).read(first, 10**6)
    assert drawn == Scenes(9, 0.5, 3).read(first, 10**6)
    assert drawn != Scenes(2, 0.0, 0).read(other, 10**6)
    picture = Image.open(io.BytesIO(drawn))
    assert (picture.format, picture.mode, picture.size) == ("BMP", "RGB", (256, 256))


def test_the_identity_of_a_scene_is_its_own() -> None:
    pool = Scenes(50, 0.1, 0)
    assert len({pool.identity(name) for name in pool.names()}) == 50


def test_an_utterance_is_its_own_locator_and_names_its_intent() -> None:
    plain_intents = {intent.name for intent in load_world().plain_intents}
    for row in Utterances(60, 0.3, 0).rows():
        seed, plain = parse_name(row.provenance.name)
        assert row.locator == utter(seed, plainly_harmful=plain).text
        assert (row.provenance.prompt in plain_intents) == plain
