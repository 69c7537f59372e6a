import json
from collections import Counter
from importlib.resources import files
from string import Formatter

import pytest

from generators.tinyworld.world import load_world

WORLD = load_world()


def icons() -> dict[str, str]:
    path = files("fontawesomefree") / "static/fontawesomefree/metadata/icons.json"
    known = json.loads(path.read_text(encoding="utf-8"))
    return {name: icon["unicode"] for name, icon in known.items() if "solid" in icon["styles"]}


def test_the_world_is_as_large_as_promised() -> None:
    assert 92 <= len(WORLD.concepts) <= 100
    assert len(WORLD.settings) == 12
    assert len(WORLD.intents) == 36
    assert len(WORLD.plain_intents) >= 6
    assert len(WORLD.motifs) >= 8
    assert len(WORLD.openers) >= 30
    assert len(WORLD.closers) >= 30


def test_every_icon_exists_and_no_two_concepts_share_a_glyph() -> None:
    known = icons()
    assert all(icon in known for motif in WORLD.motifs for icon in motif.icons)
    glyphs = Counter(known[concept.icon] for concept in WORLD.concepts)
    assert glyphs.most_common(1)[0][1] == 1


def test_no_concept_shares_its_icon_with_a_harmful_motif() -> None:
    harmful = {icon for motif in WORLD.motifs for icon in motif.icons}
    assert not harmful & {concept.icon for concept in WORLD.concepts}


def test_every_name_and_alias_means_one_concept() -> None:
    words = [(word.lower(), c.name) for c in WORLD.concepts for word in {c.name, *c.aliases}]
    assert len({word for word, _ in words}) == len(words)


def test_names_can_be_listed_in_a_prompt() -> None:
    names = [concept.name for concept in WORLD.concepts]
    names += [setting.name for setting in WORLD.settings] + [motif.name for motif in WORLD.motifs]
    assert len(set(names)) == len(names)
    assert not any(set(name) & set(",:[]") for name in names)


def test_every_property_is_known_and_shared_by_two_concepts() -> None:
    used = Counter(prop for concept in WORLD.concepts for prop in concept.properties)
    assert set(used) == set(WORLD.properties)
    assert min(used.values()) >= 2


def test_settings_look_different() -> None:
    assert len({setting.colours for setting in WORLD.settings}) == 12
    assert len({setting.cues for setting in WORLD.settings}) == 12


def test_intents_have_names_and_enough_wordings_of_their_own() -> None:
    everything = WORLD.intents + WORLD.plain_intents
    wordings = [wording for intent in everything for wording in intent.wordings]
    assert all(len(intent.wordings) >= 10 for intent in WORLD.intents)
    assert all(len(intent.wordings) >= 8 for intent in WORLD.plain_intents)
    assert len(set(wordings)) == len(wordings)
    assert len({intent.name for intent in everything}) == len(everything)


def test_every_slot_of_a_sentence_can_be_filled() -> None:
    wordings = [wording for intent in WORLD.intents + WORLD.plain_intents for wording in intent.wordings]
    for sentence in (*wordings, *WORLD.openers, *WORLD.closers):
        fields = {field for _, field, _, _ in Formatter().parse(sentence) if field is not None}
        assert fields <= set(WORLD.slots), sentence


@pytest.mark.parametrize("lookup", [WORLD.concept, WORLD.setting, WORLD.intent, WORLD.motif])
def test_an_unknown_name_is_refused(lookup: object) -> None:
    assert callable(lookup)
    with pytest.raises(KeyError, match="unicorn"):
        lookup("unicorn")
