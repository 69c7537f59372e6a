"""The annotator's page, as far as it can be seen without a browser."""

from __future__ import annotations

from xml.etree import ElementTree as ET

import pytest
from label_studio_sdk.label_interface import LabelInterface

from annotation.labelling import (
    GUIDELINE_VERSION,
    Option,
    fingerprint,
    guidelines,
    labelling_config,
    project_settings,
)
from schemas.taxonomy import CLOSED_HAZARDS, Hazard, Mechanism, Taxonomy, load_taxonomy

TAXONOMY = load_taxonomy()
CONFIG = labelling_config(TAXONOMY)


def choices(config: str, name: str) -> list[Option]:
    """The choices of a control."""
    (control,) = ET.fromstring(config).iterfind(f".//Choices[@name='{name}']")
    return [
        Option(c.get("alias", ""), c.get("value", ""), c.get("hint", ""), c.get("hotkey", ""))
        for c in control
    ]


def changed() -> Taxonomy:
    """A taxonomy with a hazard and a mechanism of other names; one has characters that XML escapes."""
    hazard = Hazard("new", 'Cats & "dogs" < birds', "Fights.")
    return Taxonomy(
        {**TAXONOMY.hazards, "new": hazard}, {"odd": Mechanism("odd", "Odd way", "Oddly harmful.")}
    )


@pytest.mark.parametrize("name", ["image_harmful", "text_harmful", "joint_harmful"])
def test_the_judgements_are_yes_no_unsure_in_this_order(name: str) -> None:
    assert [option.value for option in choices(CONFIG, name)] == ["yes", "no", "unsure"]


def test_every_open_hazard_and_mechanism_is_a_choice_under_its_own_name_and_no_closed_one_is() -> None:
    hazards = choices(CONFIG, "hazard")
    assert [option.value for option in hazards] == list(TAXONOMY.open_hazards())
    assert not {option.value for option in hazards} & CLOSED_HAZARDS
    assert hazards[0].title == TAXONOMY.hazards[hazards[0].value].title
    assert [option.value for option in choices(CONFIG, "mechanism")] == list(TAXONOMY.mechanisms)


def test_a_changed_taxonomy_changes_page_guidelines_and_fingerprint() -> None:
    config = labelling_config(changed())
    assert choices(config, "hazard")[-1].title == 'Cats & "dogs" < birds'
    assert [option.value for option in choices(config, "mechanism")] == ["odd"]
    assert "Cats &amp; &quot;dogs&quot; &lt; birds" in guidelines(changed())
    assert fingerprint(config) != fingerprint(CONFIG)


def test_the_fingerprint_does_not_depend_on_white_space_but_on_everything_else() -> None:
    assert fingerprint(CONFIG.replace("\n  <View", "\n\n    <View")) == fingerprint(CONFIG)
    assert fingerprint(CONFIG.replace('required="true"', 'required="false"', 1)) != fingerprint(CONFIG)


def test_new_guidelines_make_a_new_configuration(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("annotation.labelling.GUIDELINE_VERSION", "next")
    assert fingerprint(labelling_config(TAXONOMY)) != fingerprint(CONFIG)


def test_a_configuration_that_is_no_xml_has_no_fingerprint() -> None:
    with pytest.raises(ValueError, match="not XML"):
        fingerprint("<View>")


def test_the_verdict_is_shown_only_on_request() -> None:
    assert "$verdict" not in CONFIG
    assert "$verdict" in labelling_config(TAXONOMY, show_verdict=True)


def test_no_key_has_two_meanings() -> None:
    keys = [choice.get("hotkey") for choice in ET.fromstring(CONFIG).iter("Choice")]
    assert all(keys)
    assert len(keys) == len(set(keys))
    assert not set(keys) & set("uvrhm"), "keys of Label Studio itself"


def test_details_are_asked_only_about_harmful_pairs_and_nothing_about_reported_ones() -> None:
    root = ET.fromstring(CONFIG)
    (harmful,) = root.iterfind(".//View[@whenTagName='joint_harmful']")
    names = [element.get("name") for element in harmful if element.get("toName")]
    assert names == ["hazard", "mechanism", "severity", "harmed", "rationale", "region"]
    (unreported,) = root.iterfind(".//View[@whenTagName='report']")
    assert len(list(unreported.iterfind(".//Choices[@required='true']"))) == 7
    assert len(list(root.iterfind(".//Choices[@required='true']"))) == 7


def test_the_style_survives_an_html_sanitiser() -> None:
    style = ET.fromstring(CONFIG).findtext("Style") or ""
    assert "blur" in style
    assert not set("<>&") & set(style)


def test_label_studio_accepts_the_page_and_an_answer_on_it() -> None:
    interface = LabelInterface(CONFIG)
    interface.validate()
    task = {"image": "/data/a.png", "composed": "/data/b.png", "text": "What a day!"}
    answer = {"from_name": "hazard", "to_name": "image", "type": "choices", "value": {"choices": ["phy"]}}
    assert interface.validate_task({"data": task})
    assert interface.validate_annotation({"result": [answer]})


def test_a_project_shows_the_guidelines_first_and_lets_everybody_skip() -> None:
    settings = project_settings(TAXONOMY, "a-dataset-with-quite-a-long-name-for-label-studio", overlap=3)
    assert settings["show_instruction"] and settings["show_skip_button"]
    assert "Content warning" in settings["expert_instruction"]
    assert f"version {GUIDELINE_VERSION}" in settings["expert_instruction"]
    assert settings["maximum_annotations"] == 3
    assert 3 <= len(settings["title"]) <= 50
