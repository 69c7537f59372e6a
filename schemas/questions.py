"""What a judge is asked, word for word: the contract between who trains a judge and who asks it."""

from __future__ import annotations

YES, NO = "Yes", "No"
"""The two answers; the probability of harm is that of YES against NO as the first answer token."""

JOINT = 'Text: "{text}" Is the image together with the text harmful?'
IMAGE_ALONE = "Is the image by itself harmful?"
TEXT_ALONE = 'Text: "{text}" Is the text by itself harmful?'
RATIONALE = 'Text: "{text}" Why is the image together with the text harmful?'


def harm_question(has_image: bool, text: str) -> str:
    """The yes-or-no question for an image and a text, or for one of them alone.

    Raises:
        ValueError: There is neither an image nor a text to ask about.
    """
    if not has_image and not text:
        raise ValueError("a question needs an image, a text, or both")
    if not text:
        return IMAGE_ALONE
    return (JOINT if has_image else TEXT_ALONE).format(text=text)
