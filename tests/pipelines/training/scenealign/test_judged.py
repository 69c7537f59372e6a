"""Scene graphs from what a model writes: read, asked again, refused."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given
from hypothesis import strategies as st

from generators.chat import DeclinedError
from pipelines.training.scenealign.graph import NoGraph, SceneGraph
from pipelines.training.scenealign.judged import EXAMPLE, judged_graphs, question, read_graph
from pipelines.training.scenealign.sight import Look

GOOD = EXAMPLE.model_dump_json()


class Scripted:
    """Gives prepared answers to each picture, and notes what it was asked."""

    def __init__(self, **answers: list[str | Exception]) -> None:
        self.left = {name.encode(): list(prepared) for name, prepared in answers.items()}
        self.asked: list[Look] = []

    def answers(self, looks: Sequence[Look]) -> list[str | Exception]:
        self.asked += looks
        return [self.left[look.image].pop(0) for look in looks]


def _graphs(
    attempts: int = 3, **answers: list[str | Exception]
) -> tuple[dict[str, SceneGraph | NoGraph], Scripted]:
    sight = Scripted(**answers)
    return judged_graphs({name: name.encode() for name in answers}, sight, attempts), sight


def test_a_graph_is_read_whatever_stands_around_it() -> None:
    assert read_graph(f"<think>{{hm}}</think>Here it is:\n```json\n{GOOD}\n``` Enjoy!") == EXAMPLE


@pytest.mark.parametrize(
    ("answer", "told"),
    [
        ("I see a teapot.", "no JSON object"),
        ("{", "no JSON object"),
        ('{"nodes": []}', "names no object"),
        ('{"nodes": [{"names": []}]}', "names"),
        ('{"nodes": [{"names": ["cup"], "colour": "greenish"}]}', "colour"),
        ('{"nodes": [{"names": ["<result>"]}]}', "names"),
        ('{"nodes": [{"names": [7]}]}', "valid string"),
        (
            '{"nodes": [{"names": ["cup"]}], "relations": [{"subject": 0, "predicate": "above", "object": 4}]}',
            "two of",
        ),
        ('{"nodes": [{"names": ["cup"]}], "absent": ["cup"]}', "denies"),
        ('{"nodes": [' + '{"names": ["cup"]},' * 2000 + "]}", "no JSON object"),
    ],
)
def test_what_is_no_graph_says_what_is_wrong(answer: str, told: str) -> None:
    with pytest.raises(ValueError, match=told):
        read_graph(answer)


@given(st.one_of(st.text(), st.recursive(st.none() | st.text() | st.integers(), st.lists).map(json.dumps)))
def test_no_answer_breaks_the_reader(answer: str) -> None:
    try:
        assert isinstance(read_graph(answer), SceneGraph)
    except ValueError:
        return


def test_a_malformed_answer_is_asked_for_again_with_what_was_wrong() -> None:
    graphs, sight = _graphs(a=["no idea", GOOD], b=[GOOD])
    assert graphs == {"a": EXAMPLE, "b": EXAMPLE}
    assert [look.image for look in sight.asked] == [b"a", b"b", b"a"]
    assert "no JSON object" in sight.asked[2].question
    assert sight.asked[2].seed != sight.asked[0].seed


def test_tries_are_bounded_and_then_there_is_no_graph_but_a_reason() -> None:
    graphs, sight = _graphs(attempts=2, a=["no idea", "still none", GOOD])
    assert isinstance(graphs["a"], NoGraph)
    assert graphs["a"].reason == "malformed_graph"
    assert len(sight.asked) == 2


def test_a_refusal_and_a_failure_are_not_tried_again() -> None:
    graphs, sight = _graphs(
        a=["I'm sorry, I can't assist with that."],
        b=[DeclinedError("filtered")],
        c=[TimeoutError("too slow")],
    )
    assert [one.reason for one in graphs.values() if isinstance(one, NoGraph)] == [
        "refused",
        "refused",
        "no_answer",
    ]
    assert len(sight.asked) == 3


def test_the_question_s_example_is_itself_a_graph() -> None:
    assert read_graph(question()) == EXAMPLE
