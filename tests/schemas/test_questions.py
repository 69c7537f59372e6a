import pytest

from schemas.questions import IMAGE_ALONE, JOINT, NO, RATIONALE, TEXT_ALONE, YES, harm_question


def test_an_image_alone_is_asked_about_without_a_text() -> None:
    assert harm_question(True, "") == IMAGE_ALONE
    assert "text" not in IMAGE_ALONE.lower()


def test_a_text_alone_is_asked_about_without_an_image() -> None:
    assert harm_question(False, "smells lovely") == TEXT_ALONE.format(text="smells lovely")
    assert "image" not in TEXT_ALONE.lower()


def test_a_pair_is_asked_about_with_both() -> None:
    asked = harm_question(True, "smells lovely")
    assert asked == JOINT.format(text="smells lovely")
    assert "smells lovely" in asked and "image" in asked


def test_nothing_cannot_be_asked_about() -> None:
    with pytest.raises(ValueError, match="an image, a text, or both"):
        harm_question(False, "")


@pytest.mark.parametrize("text", ["{text}", "{0} {", 'say "hi"', "%s", "}{"])
def test_braces_and_quotes_of_a_text_stay_as_they_are(text: str) -> None:
    assert text in harm_question(True, text)
    assert text in harm_question(False, text)
    assert text in RATIONALE.format(text=text)


def test_the_answers_differ_from_their_first_letter() -> None:
    assert YES[0] != NO[0]
