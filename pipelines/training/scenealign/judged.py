"""Scene graphs of real pictures, as a vision-language model writes them in JSON; bad JSON gives no graph."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, get_args

from pydantic import ValidationError

from generators.chat import DeclinedError, printed
from generators.language import is_refusal
from pipelines.training.scenealign.graph import Colour, NoGraph, Place, Predicate, SceneGraph, Size
from pipelines.training.scenealign.sight import Look, Sight

LONGEST_ANSWER = 20_000
"""Characters; a longer answer is not searched for JSON."""
EXAMPLE = SceneGraph.model_validate(
    {
        "nodes": [
            {
                "names": ["teapot", "kettle"],
                "not_names": ["vase", "watering can"],
                "colour": "blue",
                "size": "large",
                "place": "left",
                "traits": ["made of china"],
                "not_traits": ["a toy"],
            },
            {"names": ["spoon"], "not_names": ["fork"], "place": "right"},
        ],
        "relations": [{"subject": 0, "predicate": "left of", "object": 1}],
        "setting": "kitchen",
        "elsewhere": ["garden"],
        "absent": ["plate", "apple"],
    }
)


def question(problem: str = "") -> str:
    """What a model is asked for, with what was wrong with its answer before."""
    allowed = {"colour": Colour, "size": Size, "place": Place, "predicate": Predicate}
    values = "\n".join(f"{name}: {', '.join(filter(None, get_args(kind)))}" for name, kind in allowed.items())
    asked = (
        "Describe the main objects of this picture, at most ten, as one JSON object of the form of this example, "
        f"which is about another picture:\n{EXAMPLE.model_dump_json(exclude_defaults=True)}\n"
        "`names` are what an object is called in the singular, `not_names` what it could be mistaken for and is not, "
        "`absent` objects that one might expect here and that are not to be seen. Relations count objects from 0. "
        f"Leave out what you cannot see. Allowed values are:\n{values}\nAnswer with the JSON alone."
    )
    return f"{asked}\nAn earlier answer could not be used: {problem}." if problem else asked


def read_graph(answer: str) -> SceneGraph:
    """The graph in the first JSON object of an answer, whatever stands around it.

    Raises:
        ValueError: There is none, or it is not of the form, contradicts itself or names no object; the message says
            which, in words that a model understands.
    """
    spoken = answer.rpartition("</think>")[2]
    found = _first_object(spoken) if len(spoken) <= LONGEST_ANSWER else None
    if found is None:
        raise ValueError("there is no JSON object in it")
    try:
        graph = SceneGraph.model_validate_json(json.dumps(found), strict=True)
    except ValidationError as error:
        told = (
            f"{'.'.join(map(str, e['loc'])) or 'graph'}: {e['msg']}" for e in error.errors(include_url=False)
        )
        raise ValueError(printed("; ".join(told))) from None
    if not graph.nodes:
        raise ValueError("it names no object")
    return graph


def _first_object(text: str) -> dict[str, Any] | None:
    for start in re.finditer(r"\{", text):
        try:
            found = json.JSONDecoder().raw_decode(text, start.start())[0]
        except (ValueError, RecursionError):
            continue
        return dict(found)
    return None


def judged_graphs(
    images: Mapping[str, bytes], sight: Sight, attempts: int = 3
) -> dict[str, SceneGraph | NoGraph]:
    """Ask for the graph of every picture; an answer of another form is asked for again, saying what was wrong.

    Args:
        images: Encoded pictures by their id.
        sight: What looks at them.
        attempts: Tries of one picture, at least 1; a refusal is not tried again.
    """
    outcomes: dict[str, SceneGraph | NoGraph] = {}
    problems = dict.fromkeys(images, "")
    for attempt in range(attempts):
        waiting = [id for id in images if id not in outcomes or problems[id]]
        looks = [Look(images[id], question(problems[id]), attempt) for id in waiting]
        for id, answer in zip(waiting, sight.answers(looks) if looks else (), strict=True):
            outcomes[id], problems[id] = _heard(answer)
    return outcomes


def _heard(answer: str | Exception) -> tuple[SceneGraph | NoGraph, str]:
    """What came of an answer, and what to say about it if it is worth another try."""
    if isinstance(answer, DeclinedError):
        return NoGraph("refused", printed(str(answer))), ""
    if isinstance(answer, Exception):
        return NoGraph("no_answer", printed(f"{type(answer).__name__}: {answer}")), ""
    try:
        return read_graph(answer), ""
    except ValueError as error:
        if is_refusal(answer):
            return NoGraph("refused", printed(answer)), ""
        return NoGraph("malformed_graph", f"{error} in {printed(answer)!r}"), str(error)
