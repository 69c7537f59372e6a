from generators.tinyworld.train.base_lessons import listing
from generators.tinyworld.train.measure_base import named
from generators.tinyworld.world import load_world


def test_a_listing_names_exactly_what_it_was_made_of() -> None:
    concepts = load_world().concepts
    for first, second, third in zip(concepts, concepts[1:], concepts[2:], strict=False):
        said = f"The picture shows {listing((first, second, third))}, and the text asks what it is called."
        assert named(said) == {first.name, second.name, third.name}
        assert named(f"The image shows {listing((first,))}.") == {first.name}


def test_the_beginning_of_a_longer_name_is_not_named() -> None:
    assert named("The image shows a car battery, which is electrically live.") == {"car battery"}
