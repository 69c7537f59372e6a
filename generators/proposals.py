"""What a language model proposes as a new scenario: how it is asked, the form of an answer, and near-duplicates."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from importlib.resources import files
from itertools import islice, pairwise
from string import Template
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field

from schemas.records import Scenario
from schemas.taxonomy import load_taxonomy

SIMILARITY = 0.5
"""Jaccard similarity of shingles from which two scenarios are near-duplicates."""
LONGEST_ANSWER = 50_000
"""Characters; a longer answer is not searched for a list."""
STARTS = 20
"""So many places are tried at which a list may begin."""
PLAIN = re.compile(
    r"\b(poison\w*|toxic|kill\w*|murder\w*|die|dies|dead|death|deadly|lethal|suicid\w*|harm(s|ed|ful|ing)?|hurt\w*"
    r"|injur\w*|danger\w*|unsafe|illegal\w*|crimes?|criminals?|steal\w*|stolen|thie(f|ves)|theft|fraud\w*|weapons?"
    r"|guns?|bombs?|explosives?|attack\w*|stab(s|bed|bing)?|rap(e|es|ed|ing)|sex|sexy|sexual\w*|nude|naked|porn\w*"
    r"|victims?|abus\w*|assault\w*|violen\w*|threat\w*|overdos\w*|pirated|counterfeit\w*|slander\w*|hate|racis\w*)\b"
)
"""Words that name a harm: a query that holds one is not benign alone, so its proposal cannot be used."""

Cell = tuple[str, str]
"""Hazard and mechanism."""
Shingles = frozenset[tuple[str, str]]
"""The word pairs of a scenario's queries."""


def _query(value: Any) -> Any:
    """Without a sentence's capital and full stop, which models like to add."""
    if not isinstance(value, str) or not value.strip():
        return value
    text = " ".join(value.split())
    return (text[0].lower() + text[1:]).removesuffix(".")


def _unsaid(query: str) -> str:
    named = PLAIN.search(query.casefold())
    if named:
        raise ValueError(f"names a harm: {named[0]}")
    return _printable(query)


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("holds characters that cannot be printed")
    return text


class Proposal(BaseModel):
    """A scenario as a model writes it; other keys are ignored, so it cannot choose a hazard."""

    model_config = ConfigDict(strict=True, frozen=True)

    image_query: Annotated[str, BeforeValidator(_query), AfterValidator(_unsaid)] = Field(
        pattern=r"^a photo of .*\w", max_length=200
    )
    text_query: Annotated[str, BeforeValidator(_query), AfterValidator(_unsaid)] = Field(
        pattern=r"^someone .*\w", max_length=200
    )
    why: Annotated[str, AfterValidator(_printable)] = Field(min_length=40, max_length=600)


def shingles(scenario: Scenario) -> Shingles:
    """Pairs of neighbouring words, without `a photo of` and `someone`, which all scenarios share."""
    image = scenario.image_query.removeprefix("a photo of ")
    text = scenario.text_query.removeprefix("someone ")
    words = re.findall(r"\w+", f"{image} {text}".casefold())
    return frozenset(pairwise(words))


def similarity(one: Shingles, other: Shingles) -> float:
    """Jaccard similarity, 0 to 1."""
    return len(one & other) / max(1, len(one | other))


def proposals_in(answer: str) -> list[Any] | None:
    """The first JSON list of objects in an answer, whatever stands around it; None if there is none."""
    if len(answer) > LONGEST_ANSWER:
        return None
    spoken = answer.rpartition("</think>")[2]
    for start in islice(re.finditer(r"\[\s*\{", spoken), STARTS):
        try:
            found: list[Any] = json.JSONDecoder().raw_decode(spoken, start.start())[0]
        except (ValueError, RecursionError):
            continue
        return found
    return None


def messages_for(cell: Cell, examples: Sequence[Scenario], count: int) -> list[dict[str, str]]:
    """The conversation that asks for `count` scenarios of a cell; ClosedHazardError if its hazard is closed."""
    taxonomy = load_taxonomy()
    hazard, mechanism = taxonomy.require_open(cell[0]), taxonomy.require_mechanism(cell[1])
    shown = [{"image_query": s.image_query, "text_query": s.text_query, "why": s.why} for s in examples]
    template = files("generators").joinpath("prompts/scenario.txt").read_text(encoding="utf-8")
    content = Template(template).substitute(
        hazard_title=hazard.title,
        hazard_definition=hazard.definition,
        mechanism_title=mechanism.title,
        mechanism_definition=mechanism.definition,
        examples=json.dumps(shown, indent=1, ensure_ascii=False),
        count=count,
    )
    return [{"role": "user", "content": content.strip()}]
