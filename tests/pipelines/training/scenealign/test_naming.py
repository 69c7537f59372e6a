"""Sentences, mentions and articles in a reasoning."""

import pytest

from pipelines.training.scenealign.graph import Node, SceneGraph
from pipelines.training.scenealign.naming import absentees, article, mentions, sentences, substituted

GRAPH = SceneGraph(
    nodes=(Node(names=("car battery", "battery")), Node(names=("apple",))), absent=("car", "fish", "train")
)


def _named(text: str) -> list[tuple[str, int]]:
    return [(text[one.start : one.end], one.node) for one in mentions(text, GRAPH)]


def test_the_longest_name_counts_as_whole_words_and_in_any_case() -> None:
    assert _named("An Apple, a car battery, pineapples and batteryless apple-pie") == [
        ("Apple", 1),
        ("car battery", 0),
    ]


def test_quotations_name_nothing() -> None:
    assert (
        _named(
            'The text says "eat the apple" and \N{LEFT DOUBLE QUOTATION MARK}apple\N{RIGHT DOUBLE QUOTATION MARK}.'
        )
        == []
    )


def test_a_name_that_two_objects_share_names_neither() -> None:
    twins = SceneGraph(nodes=(Node(names=("cup", "mug")), Node(names=("cup", "glass"))))
    assert [one.node for one in mentions("a cup, a mug and a glass", twins)] == [0, 1]


def test_what_is_said_to_be_there_and_is_not_is_found() -> None:
    assert absentees('It shows a car battery and a fish; people train. "A train"', GRAPH) == ["fish"]


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("One. Two! Three?", ["One.", "Two!", "Three?"]),
        ('It says "Stop. Go on. Now." Then more.', ['It says "Stop. Go on. Now." Then more.']),
        ("It is 3.5 m high. Yes.", ["It is 3.5 m high.", "Yes."]),
        ("", []),
    ],
)
def test_sentences_end_outside_quotations(text: str, parts: list[str]) -> None:
    assert sentences(text) == parts


@pytest.mark.parametrize(
    ("phrase", "fitting"),
    [
        ("apple", "an"),
        ("umbrella", "an"),
        ("unicorn", "a"),
        ("X-ray picture", "an"),
        ("oil can", "an"),
        ("road", "a"),
    ],
)
def test_the_article_goes_by_the_sound(phrase: str, fitting: str) -> None:
    assert article(phrase) == fitting


def test_a_substitute_gets_its_article_and_its_capital() -> None:
    text = "A mug is here. Mug or not, it is a mug."
    assert substituted(text, [(2, 5), (15, 18), (35, 38)], "ice cream") == (
        "An ice cream is here. Ice cream or not, it is an ice cream."
    )
