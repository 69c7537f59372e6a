from pipelines.training.rewards.evidence import facts_of, image_share, named, text_evidence, text_share
from pipelines.training.rewards.wording import own_words, stem
from tests.pipelines.training.rewards.completions import HARM


def test_a_caption_is_cut_into_the_things_that_it_names():
    assert facts_of("a picture of a beer mug in a park, and two dogs") == (
        frozenset({"beer", "mug"}),
        frozenset({"park"}),
        frozenset({"two", "dog"}),
    )


def test_only_what_a_reference_names_of_the_picture_matters():
    assert image_share(frozenset({"garag"}), HARM) == 0
    assert image_share(frozenset({"jug"}), HARM) == 0.5
    assert image_share(frozenset({"jug", "detergent"}), HARM) == 1


def test_without_references_everything_in_the_picture_matters():
    assert image_share(frozenset({"garag"}), HARM._replace(references=())) == 1


def test_what_references_say_of_the_text_is_evidence_of_it_and_what_the_picture_shows_is_not():
    evidence = text_evidence(HARM)
    assert {"soup", "add", "meal"} <= evidence
    assert not {"detergent", "jug", "caustic", "poison"} & evidence


def test_two_words_of_the_text_count_as_all():
    assert [text_share(frozenset(said), HARM) for said in ([], ["soup"], ["soup", "pour", "meal"])] == [
        0,
        0.5,
        1,
    ]


def test_a_text_without_words_has_no_evidence():
    assert text_share(frozenset({"soup"}), HARM._replace(text_says=("...",), references=())) == 0


def test_copied_words_name_nothing():
    assert named(f"A jug. {HARM.text}", HARM) == {"jug"}


def test_copies_are_cut_out_where_they_are_long_enough():
    source = ["one two three four five six"]
    assert own_words("zero one two three four, seven", source, 4) == ["zero", "seven"]
    assert own_words("zero one two three, seven", source, 4) == ["zero", "one", "two", "three", "seven"]


def test_forms_of_a_word_have_one_stem():
    assert {stem(word) for word in ("poison", "poisons", "poisoned", "poisoning")} == {"poison"}
    assert stem("bus") == "bus"
