import random
import re
import subprocess
import sys

import pytest

from generators.tinyworld.train.base_lessons import (
    POINT_OUT,
    RESULT,
    BaseLessons,
    Lesson,
    listing,
)
from generators.tinyworld.train.examples import ScenePool
from generators.tinyworld.world import load_world
from schemas.reasoning import BENIGN, HARMFUL, READING, Answer
from schemas.taxonomy import load_taxonomy

DRAWS = 1000


@pytest.fixture(scope="module")
def lessons(pool: ScenePool) -> BaseLessons:
    return BaseLessons(pool)


@pytest.fixture(scope="module")
def drawn(lessons: BaseLessons) -> list[Lesson]:
    return list(lessons.sample(random.Random(0), DRAWS))


def test_neither_the_lessons_nor_what_they_import_read_the_rules() -> None:
    code = "import sys, generators.tinyworld.train.base_lessons; print('generators.tinyworld.rules' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "False"


def test_no_lesson_speaks_of_harm_or_gives_a_verdict(drawn: list[Lesson]) -> None:
    words = ("harm", "harms", HARMFUL, BENIGN, "danger", "dangerous", "safe", "unsafe", *Answer._fields)
    verdict = re.compile(rf"\b({'|'.join(words)})\b", re.IGNORECASE)
    assert not [lesson for lesson in drawn if verdict.search(lesson.question + lesson.answer)]
    answered = {word for lesson in drawn for word in re.findall(r"\w+", lesson.answer)}
    assert not answered & set(load_taxonomy().hazards)


def test_a_reading_depends_on_the_image_and_on_the_text(lessons: BaseLessons) -> None:
    readings = [lessons.read(random.Random(n)) for n in range(300)]
    readings = [x for x in readings if x.question.endswith(READING.split("{text}")[1])]
    for lesson in readings:
        shown = lessons.shown[lesson.row]
        assert lesson.answer.startswith(f"The picture shows {listing(shown)}, and the text ")
    acts = {x.answer.rsplit(", and the text ", 1)[1].rstrip(".") for x in readings}
    assert acts <= {intent.description for intent in load_world().intents}
    assert len(acts) > 30


def test_pairs_are_drawn_at_random_also_where_nothing_has_a_property(lessons: BaseLessons) -> None:
    rows = [lessons.read(random.Random(n)).row for n in range(300)]
    plain = [row for row in rows if not any(concept.properties for concept in lessons.shown[row])]
    everything = [not any(c.properties for c in shown) for shown in lessons.shown]
    assert plain
    assert len(plain) / len(rows) == pytest.approx(sum(everything) / len(everything), abs=0.06)


def test_what_is_pointed_out_has_the_property_asked_for(lessons: BaseLessons) -> None:
    found = 0
    for n in range(300):
        lesson = lessons.point_out(random.Random(n))
        _, asked = lesson.question.split("Which thing in the image is ")
        phrase = asked.removesuffix(POINT_OUT.split("{phrase}")[1])
        having = {
            concept.name
            for concept in lessons.shown[lesson.row]
            if phrase in {load_world().properties[name] for name in concept.properties}
        }
        assert ("nothing that is" in lesson.answer) == (not having)
        found += bool(having)
        assert not having or any(f"{name}, which is {phrase}, and" in lesson.answer for name in having)
    assert 100 < found < 280


def test_things_are_listed_from_left_to_right(lessons: BaseLessons, pool: ScenePool) -> None:
    for row, scene in enumerate(pool.scenes):
        across = sorted(scene.objects, key=lambda placed: placed.x)
        assert [concept.name for concept in lessons.shown[row]] == [placed.concept for placed in across]


def test_a_result_repeats_what_was_thought(lessons: BaseLessons) -> None:
    lesson = lessons.result(random.Random(1))
    assert lesson.question.endswith(RESULT.split("{text}")[1])
    think, result = lesson.answer.removeprefix("<think>").removesuffix("</result>").split("</think><result>")
    for name in (concept.name for concept in lessons.shown[lesson.row]):
        assert name in think
        assert name in result


def test_whether_a_thing_is_there_is_answered_by_what_is_shown(lessons: BaseLessons) -> None:
    answers = [lessons.is_there(random.Random(n)) for n in range(200)]
    yes = [lesson for lesson in answers if lesson.answer.startswith("Yes")]
    assert 60 < len(yes) < 160
    for lesson in yes:
        assert any(f" {concept.name}" in lesson.answer for concept in lessons.shown[lesson.row])


def test_the_same_seed_draws_the_same_lessons(lessons: BaseLessons) -> None:
    first, second = (list(lessons.sample(random.Random(5), 40)) for _ in range(2))
    assert first == second
