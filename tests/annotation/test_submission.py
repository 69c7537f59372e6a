from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from annotation.submission import Context, RefusedAnnotationError, annotator, choices, read
from schemas.records import Annotation, Region
from schemas.taxonomy import load_taxonomy

TASK = {"pair_id": "pair", "round": 1, "guideline": "1"}
CONTEXT = Context("1/today", {"pair"}, {"pair"}, choices(load_taxonomy()), b"s" * 32)
HARMFUL = {
    "image_harmful": "no",
    "text_harmful": "unsure",
    "joint_harmful": "yes",
    "hazard": "phy",
    "mechanism": next(iter(load_taxonomy().mechanisms)),
    "severity": "3",
    "harmed": "child",
    "rationale": "The picture shows a bath, and the text praises a toaster.",
}
LETTERS = st.text("ab é", max_size=8)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | LETTERS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(LETTERS, inner, max_size=3),
    max_leaves=8,
)
VALUE = JSON | st.fixed_dictionaries({"choices": st.lists(st.sampled_from(["yes", "no", "phy", "3"]) | JSON)})
ITEM = st.fixed_dictionaries(
    {"from_name": st.sampled_from([*HARMFUL, "region", "report", "other"]), "value": VALUE}
)


def _item(name: str, answer: str) -> dict[str, Any]:
    value = {"text": [answer]} if name == "rationale" else {"choices": [answer]}
    return {"from_name": name, "to_name": "image", "type": "choices", "value": value}


def _given(answers: dict[str, str], *more: Any, **fields: Any) -> dict[str, Any]:
    result = [*(_item(name, answer) for name, answer in answers.items()), *more]
    return {
        "id": 5,
        "result": result,
        "was_cancelled": False,
        "completed_by": 7,
        "lead_time": 12.3456,
        "updated_at": "2026-03-01T10:00:00.5+02:00",
    } | fields


def _region(**value: float) -> dict[str, Any]:
    return {
        "from_name": "region",
        "value": {"x": 50, "y": 25, "width": 25, "height": 50, "rotation": 0} | value,
    }


def test_a_harmful_pair_carries_every_answer() -> None:
    found = read(TASK, _given(HARMFUL, _region()), CONTEXT)

    assert found._asdict().items() >= (HARMFUL | {"severity": 3}).items()
    assert found.region == Region(0.5, 0.25, 0.25, 0.5)
    assert (found.seconds, found.updated) == (12.346, "2026-03-01T08:00:00.500000+00:00")
    assert (found.pair_id, found.round, found.gold, found.guideline) == ("pair", 1, True, "1")


def test_what_is_asked_about_harmful_pairs_only_is_dropped_for_others() -> None:
    found = read(TASK, _given({**HARMFUL, "joint_harmful": "no"}), CONTEXT)

    assert (found.hazard, found.severity, found.rationale) == ("", 0, "")


def test_a_skip_has_no_answers_but_its_time() -> None:
    found = read(TASK, _given(HARMFUL, was_cancelled=True), CONTEXT)

    assert (found.skipped, found.joint_harmful, found.hazard, found.seconds) == (True, "", "", 12.346)


def test_a_region_that_reaches_beyond_the_picture_is_cut() -> None:
    found = read(TASK, _given(HARMFUL, _region(x=90, width=30)), CONTEXT)

    assert found.region == Region(0.9, 0.25, 0.1, 0.5)


@pytest.mark.parametrize(
    ("task", "given", "reason"),
    [
        (TASK | {"pair_id": "other"}, _given(HARMFUL), "the dataset has no such pair"),
        (TASK | {"pair_id": ["pair"]}, _given(HARMFUL), "the dataset has no such pair"),
        (TASK | {"round": 3}, _given(HARMFUL), "the task has no round, so push did not make it"),
        (TASK, _given(HARMFUL | {"rationale": " "}), "rationale is missing"),
        (TASK, _given({"image_harmful": "no"}), "text_harmful is missing"),
        (TASK, _given(HARMFUL | {"hazard": "cse"}), "hazard has an answer that is not among its choices"),
        (TASK, _given(HARMFUL | {"severity": "5"}), "severity has an answer that is not among its choices"),
        (TASK, _given(HARMFUL, _item("sentiment", "x")), "it has a control that is not in the"),
        (TASK, _given(HARMFUL, _item("hazard", "prv")), "hazard is answered twice"),
        (TASK, _given({"report": "report"}), "reported: "),
        (TASK, _given(HARMFUL, _region(x=200)), "region is malformed"),
        (TASK, _given(HARMFUL, result={"a": 1}), "its result is no list"),
        (TASK, _given(HARMFUL, completed_by=None), "it has no annotator"),
        (TASK, _given(HARMFUL, lead_time="long"), "its lead time is no number of seconds"),
        (TASK, _given(HARMFUL, updated_at=None), "it has no date"),
    ],
)
def test_what_cannot_be_used_is_refused_with_a_reason(
    task: dict[str, Any], given: dict[str, Any], reason: str
) -> None:
    with pytest.raises(RefusedAnnotationError, match=reason):
        read(task, given, CONTEXT)


@given(st.lists(ITEM, max_size=6))
def test_whatever_the_server_sends_is_read_or_refused(result: list[Any]) -> None:
    try:
        found = read(TASK, _given({}, *result), CONTEXT)
    except RefusedAnnotationError:
        return
    assert isinstance(found, Annotation)


def test_an_annotators_name_depends_on_the_salt_and_does_not_hold_the_number() -> None:
    assert annotator(b"a" * 32, 7) != annotator(b"b" * 32, 7)
    assert annotator(b"a" * 32, {"id": 7, "email": "a@example.org"}["id"]) == annotator(b"a" * 32, 7)
    assert len(annotator(b"a" * 32, 7)) == 64
