import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pipelines.stages.clusters import (
    Link,
    Sketch,
    band_rows,
    clusters,
    image_sketch,
    near_images,
    near_texts,
    shingles,
    text_sketch,
)


def _flipped(bits: int, *places: int) -> str:
    for place in places:
        bits ^= 1 << place
    return f"{bits:064x}"


def _texts(*texts: str, similarity: float = 0.5) -> list[Sketch]:
    return [text_sketch(f"t{number}", text, similarity) for number, text in enumerate(texts)]


def test_shingles_are_casefolded_runs_of_three_words() -> None:
    assert shingles("The CAT sat, the cat SAT down") == [
        "cat sat down",
        "cat sat the",
        "sat the cat",
        "the cat sat",
    ]


@pytest.mark.parametrize("text", ["Hi", "Hi  there", "😂", "...", ""])
def test_a_text_of_fewer_than_three_words_is_one_shingle(text: str) -> None:
    assert shingles(text) == [" ".join(text.casefold().split())]


def test_images_exactly_at_the_distance_are_linked_and_one_bit_further_are_not() -> None:
    bits = random.Random(1).getrandbits(256)
    near, far = _flipped(bits, *range(0, 248, 8)), _flipped(bits, *range(1, 256, 8))
    sketches = [image_sketch("b", near), image_sketch("a", _flipped(bits)), image_sketch("c", far)]
    assert sorted(near_images(sketches, None, 31)) == [Link("a", "a", 31.0), Link("b", "a", 31.0)]


def test_images_of_two_sides_are_not_compared_within_a_side() -> None:
    left = [image_sketch("a", _flipped(0)), image_sketch("b", _flipped(0, 3))]
    right = [image_sketch("c", _flipped((1 << 256) - 1))]
    assert near_images(left, right, 10) == near_images([], right, 10) == near_images(left, [], 10) == []


def test_a_hash_that_is_no_pdq_hash_is_refused_by_name() -> None:
    with pytest.raises(ValueError, match="image x has a PDQ hash of 2 bytes"):
        image_sketch("x", "abcd")


def test_many_copies_of_one_hash_are_one_cluster() -> None:
    links = near_images([image_sketch(f"{number:05}", _flipped(0)) for number in range(20_000)], None, 31)
    assert len(links) == 20_000
    assert {link.root for link in links} == {"00000"}


def test_a_text_pair_scores_its_exact_jaccard_similarity() -> None:
    links = sorted(near_texts(_texts("one two three four five", "zero two three four five"), None, 0.5))
    assert [(link.id, link.root, link.score) for link in links] == [("t0", "t0", 0.5), ("t1", "t0", 0.5)]


def test_texts_under_the_similarity_are_not_linked() -> None:
    assert near_texts(_texts("one two three four five", "zero two three four six"), None, 0.5) == []


@pytest.mark.parametrize("similarity", [0.3, 0.5, 0.8, 0.95, 1.0])
def test_a_pair_at_the_threshold_is_missed_at_most_once_in_a_thousand(similarity: float) -> None:
    rows = band_rows(similarity)
    assert (1 - similarity**rows) ** (128 // rows) <= 1e-3


@settings(max_examples=30, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 30), st.integers(0, 30)), max_size=40), st.randoms())
def test_clusters_do_not_depend_on_the_order_of_the_links(
    pairs: list[tuple[int, int]], order: random.Random
) -> None:
    links = [Link(f"{max(pair):02}", f"{min(pair):02}", 1.0) for pair in pairs]
    links += [Link(link.root, link.root, 1.0) for link in links]
    shuffled = order.sample(links, len(links))
    found = clusters(links, min)
    assert found == clusters(shuffled, min)
    assert all(found[link.id][0] == found[link.root][0] <= link.root for link in links)
