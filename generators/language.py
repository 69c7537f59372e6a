"""Texts from a chat model: for every text query of the scenarios, utterances that somebody might say for it.

Each prompt comes back as a text, a refusal (the model would not, or never answered in the form asked for), or the
exception that the back end met.
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, BaseModel, ConfigDict, StringConstraints, ValidationError

from generators.chat import ChatModel, DeclinedError, Message, Request, open_chat, printed
from schemas.config import Language
from schemas.records import Provenance

LONGEST_ANSWER = 10_000
"""Characters; a longer answer, without what was thought aloud, is not searched for JSON."""
REFUSAL_TRIES = 2
"""A model that would not is asked once more, in the same words, and then left in peace."""
START = 100
"""Characters at the start of an answer in which a refusal is looked for."""
FORMS = (
    "a caption under something of one's own",
    "a message to a close friend",
    "a comment under a stranger's post",
    "a message in a family group",
    "a remark said aloud to somebody nearby",
    "a short reply in a chat",
    "a cheerful caption",
    "a plain, matter-of-fact sentence",
)


class TextPrompt(NamedTuple):
    """What one text is asked for with."""

    query: str
    """A scenario's text query, as in "someone offers it to eat"."""
    index: int  # type: ignore[assignment]  # The tuple's own `index` is of no use here.
    """Which of the texts for that query, from 0."""


class Written(NamedTuple):
    """A text, and how many answers it took."""

    text: str
    attempts: int


class Refusal(NamedTuple):
    """No text, although the model answered."""

    reason: Literal["refused", "malformed_answer"]
    detail: str = ""
    """The first 200 characters of the last answer."""


class MalformedAnswer(ValueError):
    """An answer that is not of the form asked for; the message says why, in words a model understands."""


def _one_line(text: str) -> str:
    if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
        raise ValueError("write one line without control characters")
    return text


Line = Annotated[
    str, StringConstraints(strip_whitespace=True, min_length=1, max_length=300), AfterValidator(_one_line)
]


class Utterance(BaseModel):
    """The form of an answer: one line of 1 to 300 characters, and nothing else."""

    model_config = ConfigDict(extra="forbid", strict=True)

    text: Line


def prompts_of(queries: Iterable[str], per_query: int) -> list[TextPrompt]:
    """The prompts for so many texts for every query; a query given twice counts once."""
    return [TextPrompt(query, index) for query in dict.fromkeys(queries) for index in range(per_query)]


def seed_of(prompt: TextPrompt) -> int:
    """The seed of a prompt's first answer, 0 to 2**31 - 1, so that every server takes it."""
    return _seed(prompt.query, prompt.index)


def _seed(*parts: str | int) -> int:
    digest = hashlib.sha256("\0".join(map(str, parts)).encode()).digest()
    return int.from_bytes(digest[:4]) >> 1


@cache
def system_prompt() -> str:
    """What every conversation starts with."""
    return files("generators").joinpath("prompts/utterance.txt").read_text(encoding="utf-8").strip()


def messages_of(prompt: TextPrompt, problem: str = "") -> tuple[Message, ...]:
    """The conversation that asks for a text; it does not depend on how many texts a query gets.

    Args:
        prompt: What to ask for.
        problem: What was wrong with an earlier answer.
    """
    form = FORMS[prompt.index % len(FORMS)]
    asked = f"What is done: {prompt.query}.\nVariant {prompt.index + 1} of many: write it as {form}."
    if problem:
        asked += f'\nAn earlier answer could not be used: {problem}. Answer with {{"text": "..."}} alone.'
    return (Message(role="system", content=system_prompt()), Message(role="user", content=asked))


THOUGHT = "</think>"
"""Ends what a model thought aloud before it answered."""
FENCE = re.compile(r"```[a-zA-Z]*")
SINGLE_QUOTED = re.compile(r"(?<=[{,:])(\s*)'((?:[^'\\]|\\.|'(?!\s*[,:}]))*)'(?=\s*[,:}])")
INNER_QUOTE = re.compile(r'(?<!\\)"')
TRAILING_COMMA = re.compile(r",(?=\s*})")


def parse(answer: str) -> Utterance:
    """The utterance in the first JSON object of an answer, whatever stands around it.

    Trailing commas, then single quotes, then typographic quotes are put right if it cannot be read as it is.

    Raises:
        MalformedAnswer: There is no such object, or it has another form.
    """
    bare = answer.rpartition(THOUGHT)[2]
    if len(bare) > LONGEST_ANSWER:
        raise MalformedAnswer("the answer is far too long")
    found = _first_object(bare)
    for repair in (_without_trailing_commas, _without_single_quotes, _without_typographic_quotes):
        if found is None:
            bare = repair(bare)
            found = _first_object(bare)
    if found is None:
        raise MalformedAnswer("there is no JSON object in it")
    try:
        return Utterance.model_validate(found)
    except ValidationError as error:
        problems = (f"{'.'.join(map(str, e['loc']))}: {e['msg']}" for e in error.errors(include_url=False))
        raise MalformedAnswer(printed("; ".join(problems))) from None


def _first_object(text: str) -> dict[str, Any] | None:
    decoder = json.JSONDecoder()
    start = text.find("{")
    while start >= 0:
        try:
            found = decoder.raw_decode(text, start)[0]
        except (ValueError, RecursionError):
            start = text.find("{", start + 1)
            continue
        return dict(found)
    return None


def _without_trailing_commas(text: str) -> str:
    return TRAILING_COMMA.sub("", text)


def _without_single_quotes(text: str) -> str:
    def double_quoted(match: re.Match[str]) -> str:
        inside = match[2].replace("\\'", "'")
        return match[1] + '"' + INNER_QUOTE.sub(r'\\"', inside) + '"'

    return SINGLE_QUOTED.sub(double_quoted, text)


def _without_typographic_quotes(text: str) -> str:
    return text.translate(
        {ord("\N{LEFT DOUBLE QUOTATION MARK}"): '"', ord("\N{RIGHT DOUBLE QUOTATION MARK}"): '"'}
    )


MACHINE = r"\bas an? (ai|artificial intelligence|(large )?language model)( (language )?(model|assistant))?\b"
UNABLE = (
    r"(can'?t|cannot|can not|won'?t|will not|(am|'m) (not able|unable) to|(am|'m) not (going|allowed) to)"
)
SORRY = r"(i'?m|i am|we'?re|we are)?( (so|very|really))? ?(sorry|afraid)\b|i apologi[sz]e\b"
TASK = (
    rf"\bi {UNABLE}( \w+)? (assist|comply|fulfill?|generate|provide)\b"
    rf"|\bi {UNABLE}( \w+)? (help|continue) (you )?with (that|this|your|such)\b"
    r"|\b(against|violates?) (my|the|our) (\w+ )?(guidelines|policy|policies|programming)\b"
)
SPOKEN_REFUSAL = re.compile(rf"{TASK}|{MACHINE}|^\W*({SORRY})|^\W*(unfortunately,? )?i {UNABLE}\b")
WRITTEN_REFUSAL = re.compile(rf"{TASK}|{MACHINE}[,.]|{MACHINE} i\b")


def is_refusal(answer: str) -> bool:
    """Whether a model says, at the start of its answer or of the text in its JSON, that it will not write one.

    What people say to each other ("sorry, I can't make it tonight") is no refusal when it is the text asked for.
    """
    try:
        text, pattern = parse(answer).text, WRITTEN_REFUSAL
    except MalformedAnswer:
        text = FENCE.sub(" ", answer.rpartition(THOUGHT)[2][:LONGEST_ANSWER])
        text, pattern = re.sub(r'^[\s{"\']*text["\']\s*:\s*["\']', "", text), SPOKEN_REFUSAL
    plain = text.strip().lower().replace("\N{RIGHT SINGLE QUOTATION MARK}", "'")[:START]
    return pattern.search(plain) is not None


Outcome = Written | Refusal | Exception


class _Asked:
    """What is known of one prompt while it is asked again and again."""

    def __init__(self, prompt: TextPrompt) -> None:
        self.prompt, self.attempts, self.refusals, self.problem = prompt, 0, 0, ""
        self.outcome: Outcome | None = None

    def request(self) -> Request:
        seed = seed_of(self.prompt)
        return Request(
            messages_of(self.prompt, self.problem), _seed(seed, self.attempts) if self.attempts else seed
        )

    def hear(self, answer: str | Exception, last: bool) -> None:
        """Take an answer; `last` if there will be no other."""
        self.attempts += 1
        if isinstance(answer, DeclinedError) or (isinstance(answer, str) and is_refusal(answer)):
            self.refusals += 1
            if last or self.refusals == REFUSAL_TRIES:
                self.outcome = Refusal("refused", printed(str(answer)))
        elif isinstance(answer, Exception):
            self.outcome = answer
        else:
            try:
                self.outcome = Written(parse(answer).text, self.attempts)
            except MalformedAnswer as error:
                self.problem = str(error)
                self.outcome = Refusal("malformed_answer", printed(answer)) if last else None


class LanguageGenerator:
    """Prompts to texts, by the back end that the settings name. Pickles to the settings.

    Args:
        settings: Back end, sampling, and tries.
    """

    def __init__(self, settings: Language) -> None:
        self._settings = settings

    @property
    def per_query(self) -> int:
        """How many are made for every query."""
        return self._settings.per_query

    @property
    def name(self) -> str:
        """The model and how it is sampled, as written rows have it."""
        s = self._settings
        return f"{open_chat(s).name} temperature={s.temperature:g} top_p={s.top_p:g}"

    def fingerprint(self) -> str:
        """sha256 (hex) of everything a text depends on: the model, the words it is asked in, sampling and tries."""
        s = self._settings
        sampling = (s.temperature, s.top_p, s.max_tokens, s.attempts, REFUSAL_TRIES)
        asked = json.dumps(messages_of(TextPrompt("", 0), "problem"))
        parts = (open_chat(s).fingerprint(), asked, *FORMS, *map(str, sampling))
        return hashlib.sha256("\0".join(("language", *parts)).encode()).hexdigest()

    def load_model(self) -> ChatModel:
        """The back end, ready to write; raises what its `load` raises."""
        model = open_chat(self._settings)
        model.load()
        return model

    def generate(self, prompts: Sequence[TextPrompt], model: ChatModel) -> list[Outcome]:
        """Write a text for every prompt, in order.

        An answer of another form is asked for again, with what was wrong with it, up to `attempts` times.
        """
        asked = [_Asked(prompt) for prompt in prompts]
        for attempt in range(1, self._settings.attempts + 1):
            waiting = [one for one in asked if one.outcome is None]
            if not waiting:
                break
            answers = model.complete_many([one.request() for one in waiting], self._settings)
            for one, answer in zip(waiting, answers, strict=True):
                one.hear(answer, last=attempt == self._settings.attempts)
        return [one.outcome for one in asked if one.outcome is not None]

    def provenance(self, prompt: TextPrompt) -> Provenance:
        """Where the text of a prompt comes from."""
        name = f"{hashlib.sha256(prompt.query.encode()).hexdigest()[:16]}-{prompt.index}"
        return Provenance(
            source="language",
            name=name,
            origin="generated",
            generator=self.name,
            prompt=prompt.query,
            seed=seed_of(prompt),
        )
