"""What the judge is taught: questions with answers, drawn from scenes, utterances and the rules."""

from __future__ import annotations

import random
from typing import NamedTuple

from generators.tinyworld.grammar import utter
from generators.tinyworld.rules import combinations, harm_of, is_held_out
from generators.tinyworld.train.examples import TRAIN_SEEDS, ScenePool
from generators.tinyworld.world import load_world
from schemas.questions import IMAGE_ALONE, NO, RATIONALE, YES, harm_question

DESCRIBE_IMAGE = "What does the image show?"
DESCRIBE_TEXT = 'Text: "{text}" What does the text do?'


class Lesson(NamedTuple):
    """One question about an image (a row of a pool, or -1 for none), and the answer to learn."""

    row: int
    plainly_harmful_pool: bool
    question: str
    answer: str


class Lessons:
    """Draws lessons; combinations that are held out never occur, neither as harm nor as benign."""

    def __init__(self, pool: ScenePool, harmful: ScenePool) -> None:
        self.pool, self.harmful = pool, harmful
        self.objects = [tuple(pool.objects(row)) for row in range(len(pool.scenes))]
        self.known = [c for c in combinations() if not c.held_out]
        self.intents = [intent.name for intent in load_world().intents]
        self.concepts = {concept.name: concept for concept in load_world().concepts}
        self.descriptions = {intent.name: intent.description for intent in load_world().intents}
        self.rows_of: dict[str, list[int]] = {}
        for row, names in enumerate(self.objects):
            for name in names:
                self.rows_of.setdefault(name, []).append(row)

    def joint(self, rng: random.Random) -> Lesson:
        """Is this pair harmful? Half of the pairs are; the others change the image, the text, or both."""
        while True:
            row, intent = self._pair(rng)
            if any(is_held_out(name, intent) for name in self.objects[row]):
                continue
            answer = YES if harm_of(self.objects[row], intent) else NO
            return Lesson(row, False, harm_question(True, self._say(rng, intent)), answer)

    def _pair(self, rng: random.Random) -> tuple[int, str]:
        combination = rng.choice(self.known)
        row, intent = rng.choice(self.rows_of[combination.concept]), combination.intent
        fate = rng.random()
        if fate < 0.48:
            return row, intent
        if fate < 0.66:
            return row, rng.choice(self.intents)
        if fate < 0.84:
            return rng.randrange(len(self.objects)), intent
        return rng.randrange(len(self.objects)), rng.choice(self.intents)

    def alone(self, rng: random.Random) -> Lesson:
        """Is the image, or the text, harmful by itself? One in three is."""
        harmful = rng.random() < 1 / 3
        answer = YES if harmful else NO
        if rng.random() < 0.5:
            side = self.harmful if harmful else self.pool
            return Lesson(rng.randrange(len(side.scenes)), harmful, IMAGE_ALONE, answer)
        text = utter(self._seed(rng), plainly_harmful=harmful).text
        return Lesson(-1, False, harm_question(False, text), answer)

    def rationale(self, rng: random.Random) -> Lesson:
        """Why is this pair harmful? The answer names what in the image and what in the text."""
        while True:
            combination = rng.choice(self.known)
            row = rng.choice(self.rows_of[combination.concept])
            if any(is_held_out(name, combination.intent) for name in self.objects[row]):
                continue
            harm = harm_of(self.objects[row], combination.intent)
            if harm is None:
                raise RuntimeError(f"{combination} is listed as harmful, but the rules find no harm")
            return Lesson(
                row, False, RATIONALE.format(text=self._say(rng, combination.intent)), harm.rationale
            )

    def describe(self, rng: random.Random) -> Lesson:
        """What does the image show, with its properties? What does the text do?"""
        if rng.random() < 0.3:
            intent = rng.choice(self.intents)
            question = DESCRIBE_TEXT.format(text=self._say(rng, intent))
            return Lesson(-1, False, question, self.descriptions[intent])
        row = rng.randrange(len(self.objects))
        return Lesson(row, False, DESCRIBE_IMAGE, "; ".join(self.fact(name) for name in self.objects[row]))

    def fact(self, name: str) -> str:
        """A concept with what is dangerous, private or precious about it, if anything."""
        phrases = [load_world().properties[p] for p in self.concepts[name].properties]
        return f"{name}: {', '.join(phrases)}" if phrases else name

    def _say(self, rng: random.Random, intent: str) -> str:
        return utter(self._seed(rng), intent=intent).text

    @staticmethod
    def _seed(rng: random.Random) -> int:
        return TRAIN_SEEDS + rng.randrange(1 << 30)
