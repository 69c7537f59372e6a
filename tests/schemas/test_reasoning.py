import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from schemas.reasoning import BENIGN, HARMFUL, Answer, Reasoned, parse, render
from schemas.taxonomy import load_taxonomy

HARM = Reasoned("The image shows a stove.", Answer(HARMFUL, "phy", "The stove is hot."))
RESULT = '{"verdict": "harmful", "hazard": "phy", "rationale": "The stove is hot."}'
WORDS = st.text(st.characters(blacklist_characters="<>", blacklist_categories=("Cs",)), min_size=1).filter(
    lambda text: bool(text.strip())
)


@given(WORDS, WORDS, st.sampled_from(sorted(load_taxonomy().hazards)))
def test_what_is_rendered_is_read_back(think: str, rationale: str, hazard: str) -> None:
    said = Reasoned(think.strip(), Answer(HARMFUL, hazard, rationale.strip()))
    assert parse(render(said)) == said


def test_a_benign_answer_needs_no_rationale() -> None:
    said = Reasoned("A cup.", Answer(BENIGN, "", ""))
    assert parse(render(said)) == said


@pytest.mark.parametrize(
    "completion",
    [
        "",
        RESULT,
        f"<result>{RESULT}</result>",
        f"<think> </think><result>{RESULT}</result>",
        f"Well. <think>So.</think><result>{RESULT}</result>",
        f"<think>So.</think><result>{RESULT}</result> And more.",
        f"<think>So.</think> because <result>{RESULT}</result>",
        f"<think>So.</think><result>{RESULT}</result><result>{RESULT}</result>",
        f"<think>So.</think><think>So.</think><result>{RESULT}</result>",
        f"<think>So.<result>{RESULT}</result></think><result>{RESULT}</result>",
        "<think>So.</think><result>harmful</result>",
        f"<think>So.</think><result>[{RESULT}]</result>",
        f"<think>So.</think><result>{'[' * 100_000}</result>",
    ],
)
def test_anything_but_the_form_is_no_answer(completion: str) -> None:
    assert parse(completion) is None


@pytest.mark.parametrize(
    "change",
    [
        {"verdict": "Harmful"},
        {"verdict": BENIGN},
        {"verdict": BENIGN, "hazard": ""} | {"more": "x"},
        {"hazard": ""},
        {"hazard": "phy, prv"},
        {"rationale": " "},
        {"rationale": ["The stove is hot."]},
        {"verdict": True},
    ],
)
def test_an_answer_that_does_not_fit_is_none(change: dict[str, object]) -> None:
    result = json.loads(RESULT) | change
    assert parse(f"<think>So.</think><result>{json.dumps(result)}</result>") is None
    assert parse(f"<think>So.</think><result>{RESULT}</result>") is not None
