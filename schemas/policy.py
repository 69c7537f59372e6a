"""The policy that a judge is asked by: the questions' wording, and which answers mean harm.

Models prefer an option for its place. A policy with lettered options is therefore asked in both orders, and the
two probabilities are averaged; the judge of tinyworld answers in words and is asked once.
"""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from pathlib import Path
from typing import Any, NamedTuple

from schemas import questions
from schemas.taxonomy import load_taxonomy

QUESTIONS = ("image", "text", "joint", "rationale")
PLACEHOLDERS = {
    "introduction": {"hazards"},
    "image": {"introduction", "options"},
    "text": {"introduction", "options", "text"},
    "joint": {"introduction", "options", "text"},
    "rationale": {"introduction", "text"},
}
"""What each part of a policy file may refer to; a question must hold what is asked about, `{text}`."""


class PolicyError(ValueError):
    """A policy that cannot be used; the message names the file and what is wrong with it."""


class Answers(NamedTuple):
    """What a judge answers if it holds something to be harmful, and if not."""

    harmful: str
    benign: str


class Policy(NamedTuple):
    """The four questions, complete but for `{text}` and `{options}`, and the answers to them."""

    name: str
    image: str
    text: str
    joint: str
    rationale: str
    letters: tuple[str, str] | None
    """The letters of the options in the order they are listed; None where answers are words of their own."""
    options: Answers

    @property
    def orders(self) -> int:
        """In how many orders of the options each question is asked."""
        return 2 if self.letters else 1

    def answers(self, order: int) -> Answers:
        """The two answers' own words in an order of the options, 0 or 1."""
        if not self.letters:
            return self.options
        first, second = self.letters
        return Answers(second, first) if order else Answers(first, second)

    def question(self, has_image: bool, text: str, order: int) -> str:
        """The question for an image and a text, or for one of them alone.

        Raises:
            ValueError: There is neither an image nor a text to ask about.
        """
        if not has_image and not text:
            raise ValueError("a question needs an image, a text, or both")
        wording = self.image if not text else self.joint if has_image else self.text
        # The text comes last, so that braces in it stay as they are.
        return wording.replace("{options}", self._listed(order)).replace("{text}", text)

    def why(self, text: str) -> str:
        """The question for the rationale of a pair."""
        return self.rationale.replace("{text}", text)

    def _listed(self, order: int) -> str:
        if not self.letters:
            return ""
        words = self.options if order == 0 else self.options[::-1]
        return "\n".join(f"{letter}. {word}" for letter, word in zip(self.letters, words, strict=True))


TINYWORLD = Policy(
    "tinyworld",
    questions.IMAGE_ALONE,
    questions.TEXT_ALONE,
    questions.JOINT,
    questions.RATIONALE,
    None,
    Answers(questions.YES, questions.NO),
)


@lru_cache
def load_policy(source: str) -> Policy:
    """Read a policy: `tinyworld`, `everyday`, or the path of a TOML file like schemas/policies/everyday.toml.

    Raises:
        PolicyError: No such file, not TOML, a missing or unknown key, or an unknown placeholder.
    """
    if source == TINYWORLD.name:
        return TINYWORLD
    packaged = files("schemas").joinpath("policies", f"{source}.toml")
    try:
        content = (packaged if packaged.is_file() else Path(source)).read_text(encoding="utf-8")
        return _policy(source, tomllib.loads(content))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise PolicyError(f"cannot read the policy {source}: {error}") from None
    except (KeyError, TypeError, ValueError) as error:
        raise PolicyError(f"the policy {source} cannot be used: {error}") from None


def _policy(name: str, data: dict[str, Any]) -> Policy:
    wrong = data.keys() ^ {"introduction", *QUESTIONS, "answers"}
    if wrong:
        raise ValueError(f"missing or unknown keys {', '.join(sorted(wrong))}")
    for part, allowed in PLACEHOLDERS.items():
        _check_placeholders(part, data[part], allowed)
    introduction = data["introduction"].strip().replace("{hazards}", hazard_list())
    wording = {key: data[key].strip().replace("{introduction}", introduction) for key in QUESTIONS}
    answers = data["answers"]
    if answers.keys() != {"letters", "harmful", "benign"} or len(set(answers["letters"])) != 2:
        raise ValueError("`answers` needs two different `letters`, `harmful` and `benign`")
    first, second = answers["letters"]
    return Policy(
        name, **wording, letters=(first, second), options=Answers(answers["harmful"], answers["benign"])
    )


def _check_placeholders(part: str, wording: str, allowed: set[str]) -> None:
    import string

    found = {name for _, name, _, _ in string.Formatter().parse(wording) if name is not None}
    needed = allowed - {"introduction"}
    if not found <= allowed or not needed <= found:
        raise ValueError(
            f"`{part}` must refer to {sorted(needed)} and may to {sorted(allowed)}, not {sorted(found)}"
        )


def hazard_list() -> str:
    """All hazards with their definitions, a line each; the closed ones too, since screening must catch them."""
    return "\n".join(f"- {h.title}: {h.definition}" for h in load_taxonomy().hazards.values())
