"""Everyday utterances: [opener] core [closer], where only the core carries the intent."""

import random
import re
from string import Formatter
from typing import NamedTuple

from generators.tinyworld.world import Intent, load_world

OPENER_SHARE = 0.75
CLOSER_SHARE = 0.75


class Utterance(NamedTuple):
    """A text with the intent it was made from, and whether it is harmful by itself."""

    text: str
    intent: str
    plainly_harmful: bool


def utter(seed: int, *, intent: str | None = None, plainly_harmful: bool = False) -> Utterance:
    """Makes one utterance; the same arguments give the same text in every process.

    Args:
        seed: What the random choices are made from.
        intent: The name of the intent; by default one is drawn.
        plainly_harmful: Whether to draw from the intents that are harmful by themselves.

    Returns:
        The utterance.

    Raises:
        KeyError: If the world has no intent of that name.
    """
    rng = random.Random(f"utterance {seed}")
    chosen = _choose_intent(rng, intent, plainly_harmful)
    return Utterance(_compose(rng, chosen), chosen.name, chosen.harmful)


def _choose_intent(rng: random.Random, name: str | None, plainly_harmful: bool) -> Intent:
    world = load_world()
    drawn = rng.choice(world.plain_intents if plainly_harmful else world.intents)
    return drawn if name is None else world.intent(name)


def _compose(rng: random.Random, intent: Intent) -> str:
    world = load_world()
    opener = rng.choice(world.openers) if rng.random() < OPENER_SHARE else ""
    core = rng.choice(intent.wordings)
    closer = rng.choice(world.closers) if rng.random() < CLOSER_SHARE else ""
    return _fill(rng, [part for part in (opener, core, closer) if part])


def _fill(rng: random.Random, parts: list[str]) -> str:
    fill = _Slots(rng)
    text = ""
    for part in parts:
        text = f"{text} {_cased(part, fill.format(part), after=text)}"
    return text.strip()


def _cased(template: str, sentence: str, *, after: str) -> str:
    """Begins a sentence with a capital, unless it goes on after a comma with neither a slot nor "I"."""
    if not after.endswith(","):
        return sentence[0].upper() + sentence[1:]
    stays = template[0] == "{" or re.match(r"I\b", template)
    return sentence if stays else sentence[0].lower() + sentence[1:]


class _Slots(Formatter):
    """Fills slots; a slot named twice in a part keeps its value, and two parts never share a person."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._used: set[str] = set()
        self._part: dict[str, str] = {}

    def format(self, format_string: str, /, *args: object, **kwargs: object) -> str:
        self._part = {}
        return super().format(format_string, *args, **kwargs)

    def get_value(self, key: int | str, args: object, kwargs: object) -> str:
        name = str(key)
        if name not in self._part:
            values = [value for value in load_world().slots[name] if value not in self._used]
            self._part[name] = self._rng.choice(values)
            self._used.add(self._part[name])
        return self._part[name]
