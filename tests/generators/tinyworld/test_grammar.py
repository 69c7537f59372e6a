import re
import subprocess
import sys
from collections import Counter, defaultdict

import pytest

from generators.tinyworld.grammar import utter
from generators.tinyworld.world import load_world

WORLD = load_world()
TEXTS = [utter(seed).text for seed in range(2000)]


def shingles(text: str) -> frozenset[tuple[str, ...]]:
    words = text.lower().split()
    return frozenset(zip(words, words[1:], words[2:], strict=False))


def near_copies(texts: list[str]) -> int:
    holders: defaultdict[tuple[str, ...], list[int]] = defaultdict(list)
    sets, copies = [shingles(text) for text in texts], 0
    for index, own in enumerate(sets):
        shared = Counter(other for shingle in own for other in holders[shingle])
        copies += any(n > 0.8 * (len(own) + len(sets[other]) - n) for other, n in shared.items())
        for shingle in own:
            holders[shingle].append(index)
    return copies


def test_texts_are_rarely_near_copies_of_each_other() -> None:
    assert near_copies(TEXTS) < 0.02 * len(TEXTS)


def test_no_ordinary_sentence_names_a_concept() -> None:
    names = [word for concept in WORLD.concepts for word in (concept.name, *concept.aliases)]
    pattern = re.compile(rf"\b({'|'.join(map(re.escape, names))})s?\b", re.IGNORECASE)
    wordings = [wording for intent in WORLD.intents for wording in intent.wordings]
    slots = [value for values in WORLD.slots.values() for value in values]
    said = [*wordings, *WORLD.openers, *WORLD.closers, *slots]
    assert [sentence for sentence in said if pattern.search(sentence)] == []


def test_every_wording_of_every_intent_is_said() -> None:
    for intent in WORLD.intents + WORLD.plain_intents:
        said = {utter(seed, intent=intent.name).text for seed in range(40)}
        assert len(said) >= 30
        assert not any("{" in text for text in said)


def test_the_seed_alone_decides_the_text() -> None:
    code = "from generators.tinyworld.grammar import utter; print([utter(s).text for s in range(50)])"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert printed.strip() == str(TEXTS[:50])


def test_plainly_harmful_texts_are_marked_and_ordinary_ones_are_not() -> None:
    assert all(utter(seed, plainly_harmful=True).plainly_harmful for seed in range(100))
    assert not any(utter(seed).plainly_harmful for seed in range(100))


def test_every_intent_is_drawn_about_as_often() -> None:
    drawn = Counter(utter(seed).intent for seed in range(3600))
    assert set(drawn) == {intent.name for intent in WORLD.intents}
    assert min(drawn.values()) > 60


def test_after_a_comma_a_sentence_goes_on_in_lower_case() -> None:
    names = "|".join((*WORLD.slots["person"], "I"))
    capitals = re.compile(rf"^(By the way|As promised|Well then), (?!({names})\b)[A-Z]")
    assert [text for text in TEXTS if capitals.match(text)] == []


def test_an_unknown_intent_is_refused() -> None:
    with pytest.raises(KeyError, match="sing_a_song"):
        utter(1, intent="sing_a_song")
