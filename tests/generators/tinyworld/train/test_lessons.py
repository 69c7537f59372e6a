import random
import re

import pytest

from generators.tinyworld.rules import combinations, harm_of, is_held_out
from generators.tinyworld.train.examples import ScenePool
from generators.tinyworld.train.lessons import DESCRIBE_IMAGE, Lesson, Lessons
from generators.tinyworld.world import load_world
from schemas.questions import IMAGE_ALONE, JOINT, NO, RATIONALE, TEXT_ALONE, YES

DRAWS = 1500


class Recording(Lessons):
    """Lessons that note which intent each text was made from."""

    def __init__(self, pool: ScenePool, harmful: ScenePool) -> None:
        super().__init__(pool, harmful)
        self.said: dict[str, str] = {}

    def _say(self, rng: random.Random, intent: str) -> str:
        text = super()._say(rng, intent)
        self.said[text] = intent
        return text

    def intent_of(self, lesson: Lesson, question: str) -> str:
        before, after = question.split("{text}")
        return self.said[lesson.question.removeprefix(before).removesuffix(after)]


@pytest.fixture(scope="module")
def lessons(pool: ScenePool, harmful: ScenePool) -> Recording:
    return Recording(pool, harmful)


def test_a_joint_answer_agrees_with_the_rules_and_is_never_held_out(lessons: Recording) -> None:
    rng = random.Random(0)
    answers = []
    for _ in range(DRAWS):
        lesson = lessons.joint(rng)
        shown, intent = lessons.objects[lesson.row], lessons.intent_of(lesson, JOINT)
        assert lesson.answer == (YES if harm_of(shown, intent) else NO)
        assert not any(is_held_out(name, intent) for name in shown)
        answers.append(lesson.answer)
    assert 0.4 <= answers.count(YES) / DRAWS <= 0.65


def test_a_rationale_is_the_rules_own_and_never_of_a_held_out_combination(lessons: Recording) -> None:
    rng = random.Random(1)
    for _ in range(DRAWS):
        lesson = lessons.rationale(rng)
        shown, intent = lessons.objects[lesson.row], lessons.intent_of(lesson, RATIONALE)
        harm = harm_of(shown, intent)
        assert harm is not None
        assert lesson.answer == harm.rationale
        assert not any(is_held_out(name, intent) for name in shown)


def test_held_out_combinations_would_be_drawn_were_they_not_refused(lessons: Recording) -> None:
    rng = random.Random(2)
    drawn = [lessons._pair(rng) for _ in range(DRAWS)]
    assert any(is_held_out(name, intent) for row, intent in drawn for name in lessons.objects[row])


def test_a_part_alone_is_harmful_only_if_it_was_made_so(lessons: Recording) -> None:
    plain = {w for i in load_world().plain_intents for w in i.wordings}
    cores = [re.compile(re.sub(r"\\{\w+\\}", ".+", re.escape(w)), re.IGNORECASE) for w in sorted(plain)]
    rng = random.Random(3)
    kinds = set()
    for _ in range(400):
        lesson = lessons.alone(rng)
        kinds.add((lesson.row >= 0, lesson.answer))
        if lesson.row >= 0:
            assert lesson.question == IMAGE_ALONE
            assert lesson.plainly_harmful_pool == (lesson.answer == YES)
        else:
            assert lesson.question.endswith(TEXT_ALONE.split("{text}")[1])
            assert any(core.search(lesson.question) for core in cores) == (lesson.answer == YES)
    assert len(kinds) == 4


def test_a_description_names_every_object_with_its_properties(lessons: Recording) -> None:
    rng = random.Random(4)
    world = load_world()
    for _ in range(200):
        lesson = lessons.describe(rng)
        if lesson.question == DESCRIBE_IMAGE:
            for name in lessons.objects[lesson.row]:
                assert name in lesson.answer
                assert all(world.properties[p] in lesson.answer for p in world.concept(name).properties)
        else:
            assert lesson.answer in {intent.description for intent in world.intents}


def test_every_known_combination_can_be_taught_from_a_pool_that_shows_all(lessons: Recording) -> None:
    assert {c.concept for c in combinations()} <= set(lessons.rows_of)


def test_the_same_seed_draws_the_same_lessons(lessons: Recording) -> None:
    drawn = [[lessons.joint(random.Random(seed)) for seed in range(20)] for _ in range(2)]
    assert drawn[0] == drawn[1]
