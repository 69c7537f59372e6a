"""What the base is taught: to say what an image shows and what a text does, and no judgement of either."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Sequence
from typing import NamedTuple

from generators.tinyworld.grammar import utter
from generators.tinyworld.renderer import caption
from generators.tinyworld.train.examples import TRAIN_SEEDS, ScenePool
from generators.tinyworld.world import Concept, load_world, with_article
from schemas.reasoning import READING

DESCRIBE_IMAGE = "What does the image show?"
CAPTION = "Write a caption for the image."
DESCRIBE_TEXT = 'Text: "{text}" What does the text do?'
TELL_BOTH = 'Text: "{text}" What do the image and the text say?'
POINT_OUT = 'Text: "{text}" Which thing in the image is {phrase}, and what does the text do?'
RESULT = 'Text: "{text}" Think about what each of them shows or says, then give the result.'
KEYS = ("image", "text", "place", "name", "note")


class Lesson(NamedTuple):
    """One question about an image (a row of a pool, or -1 for none), and the answer to learn."""

    row: int
    question: str
    answer: str


class BaseLessons:
    """Draws lessons from scenes and utterances that are put together at random."""

    def __init__(self, pool: ScenePool) -> None:
        self.world, self.pool = load_world(), pool
        self.shown = [
            [self.world.concept(placed.concept) for placed in sorted(scene.objects, key=lambda o: o.x)]
            for scene in pool.scenes
        ]

    def read(self, rng: random.Random) -> Lesson:
        """What image and text say, in one sentence (as the beginning of a rationale) or in two."""
        row, text, does = self._pair(rng)
        if rng.random() < 0.7:
            return Lesson(row, READING.format(text=text), self.reading(row, does))
        answer = f"The image shows {listing(self.shown[row])}. The text {does}."
        return Lesson(row, TELL_BOTH.format(text=text), answer)

    def point_out(self, rng: random.Random) -> Lesson:
        """Which thing has a property, if one has, and what the text does."""
        row, text, does = self._pair(rng)
        facts = [(concept, name) for concept in self.shown[row] for name in concept.properties]
        if facts and rng.random() < 0.75:
            concept, name = rng.choice(facts)
            thing = with_article(concept.name)
        else:
            present = {name for _, name in facts}
            name = rng.choice([name for name in self.world.properties if name not in present])
            thing = "nothing"
        phrase = self.world.properties[name]
        answer = f"The picture shows {thing}, which is {phrase}, and the text {does}."
        if thing == "nothing":
            answer = f"The picture shows nothing that is {phrase}, and the text {does}."
        return Lesson(row, POINT_OUT.format(text=text, phrase=phrase), answer)

    def result(self, rng: random.Random) -> Lesson:
        """The reading between tags, then what it names as JSON."""
        row, text, does = self._pair(rng)
        named = ", ".join(concept.name for concept in self.shown[row])
        record = json.dumps({"image": named, "text": does})
        answer = f"<think>{self.reading(row, does)}</think><result>{record}</result>"
        return Lesson(row, RESULT.format(text=text), answer)

    def describe(self, rng: random.Random) -> Lesson:
        """What the image shows, with properties, from left to right."""
        row = rng.randrange(len(self.shown))
        return Lesson(row, DESCRIBE_IMAGE, f"The image shows {listing(self.shown[row])}.")

    def caption(self, rng: random.Random) -> Lesson:
        """A caption of the image, by names or aliases, now and then with the setting."""
        row = rng.randrange(len(self.shown))
        return Lesson(row, CAPTION, caption(self.pool.scenes[row], rng.randrange(1 << 30)))

    def is_there(self, rng: random.Random) -> Lesson:
        """Whether the image shows a thing; the answer says what is there."""
        row = rng.randrange(len(self.shown))
        present = rng.random() < 0.5
        concept = rng.choice(self.shown[row] if present else self.world.concepts)
        question = f"Is there {with_article(rng.choice((concept.name, *concept.aliases)))} in the image?"
        if concept in self.shown[row]:
            return Lesson(row, question, f"Yes, there is {fact(concept)}.")
        return Lesson(row, question, f"No, the image shows {listing(self.shown[row])}.")

    def describe_text(self, rng: random.Random) -> Lesson:
        """What a text does."""
        text, does = self._say(rng)
        return Lesson(-1, DESCRIBE_TEXT.format(text=text), f"The text {does}.")

    def write(self, rng: random.Random) -> Lesson:
        """A text that does what is asked for: the language of utterances."""
        text, does = self._say(rng)
        return Lesson(-1, f"Write a text that {does}.", text)

    def what_is(self, rng: random.Random) -> Lesson:
        """What a thing is, by name or alias, without an image."""
        concept = rng.choice(self.world.concepts)
        said = with_article(rng.choice((concept.name, *concept.aliases)))
        answer = f"{said[0].upper()}{said[1:]} is {fact(concept)}."
        return Lesson(-1, f"What is {said}?", answer)

    def as_json(self, rng: random.Random) -> Lesson:
        """Copying into JSON."""
        keys = rng.sample(KEYS, rng.randint(1, 3))
        record = {key: self._value(rng) for key in keys}
        listed = ", ".join(f"{key} is {value}" for key, value in record.items())
        return Lesson(-1, f"Write as JSON: {listed}.", json.dumps(record))

    def reading(self, row: int, does: str) -> str:
        """The sentence that names everything shown and what the text does."""
        return f"The picture shows {listing(self.shown[row])}, and the text {does}."

    def _pair(self, rng: random.Random) -> tuple[int, str, str]:
        return rng.randrange(len(self.shown)), *self._say(rng)

    def _say(self, rng: random.Random) -> tuple[str, str]:
        said = utter(TRAIN_SEEDS + rng.randrange(1 << 30))
        return said.text, self.world.intent(said.intent).description

    def _value(self, rng: random.Random) -> str:
        sides: tuple[Sequence[str], ...] = (
            [concept.name for concept in self.world.concepts],
            [intent.description for intent in self.world.intents],
            [setting.name for setting in self.world.settings],
            self.world.slots["person"],
        )
        return rng.choice(rng.choice(sides))

    def sample(self, rng: random.Random, count: int) -> Iterator[Lesson]:
        """`count` lessons of every kind in turn."""
        kinds = (
            *(self.read, self.point_out, self.result, self.describe, self.caption, self.is_there),
            *(self.describe_text, self.write, self.what_is, self.as_json),
        )
        return (kinds[n % len(kinds)](rng) for n in range(count))


def fact(concept: Concept) -> str:
    """A thing with what it is, such as `a beer mug, which is alcohol`."""
    phrases = [load_world().properties[name] for name in concept.properties]
    return with_article(concept.name) + (f", which is {' and '.join(phrases)}" if phrases else "")


def listing(concepts: Sequence[Concept]) -> str:
    """Facts in a row: `a`, `a and b`, `a, b and c`."""
    *head, last = map(fact, concepts)
    return f"{', '.join(head)} and {last}" if head else last
