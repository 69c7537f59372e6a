"""The preferred rationale fits the adjudicated answers."""

from annotation.rationales import names_both, preferred
from tests.planted import annotation

BOTH = "The picture shows a toaster by the bath and the text invites to touch it."


def told(annotator: str, **fields: object) -> object:
    return annotation("p", annotator, "yes", **fields)


def choose(*made: object, **trust: float) -> str:
    return preferred(made, "phy", "poisoning", trust)  # type: ignore[arg-type]


def test_both_parts_are_to_be_named() -> None:
    assert names_both(BOTH)
    assert not names_both("It is dangerous.")


def test_the_hazard_counts_most() -> None:
    assert choose(told("a", hazard="prv", rationale=BOTH), told("b", rationale="Wet.")) == "Wet."


def test_then_whether_image_and_text_are_named() -> None:
    assert choose(told("a", rationale=BOTH), told("b", rationale="Wet." * 50), b=1.0) == BOTH


def test_then_who_is_the_more_reliable() -> None:
    assert choose(told("a", rationale="Wet."), told("b", rationale="Hot and wet."), a=0.9, b=0.5) == "Wet."


def test_an_expert_comes_first() -> None:
    assert choose(told("a", rationale=BOTH), told("b", rationale="Wet.", round=2)) == "Wet."


def test_who_found_no_harm_gives_no_reason() -> None:
    assert choose(annotation("p", "a", "no", rationale=BOTH)) == ""
