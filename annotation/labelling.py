"""The annotator's page: the labelling configuration and the guidelines, both made from the taxonomy.

A task's data has `pair_id`, `image`, `composed`, `text`, `round`, `guideline` and, where it is shown, `verdict`.
Its hazard must not be in the data, or annotators would be anchored by it; it goes to the task's `meta`.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from html import escape
from importlib.resources import files
from itertools import chain, repeat
from typing import Any, NamedTuple
from xml.etree import ElementTree as ET

from schemas.taxonomy import Hazard, Mechanism, Taxonomy

GUIDELINE_VERSION = "1"
"""Rises whenever the guidelines change in meaning; every annotation carries the version it was made under."""
ANSWERS = {"yes": "Yes", "no": "No", "unsure": "Unsure"}
SEVERITIES = {
    "1": "Slight: unpleasant, soon over",
    "2": "Moderate: real but limited damage",
    "3": "Serious: lasting damage or injury",
    "4": "Life-threatening",
}
HARMED = {
    "reader": "Whoever reads and follows it",
    "writer": "Whoever wrote it",
    "child": "A child",
    "person": "Another person",
    "group": "A group of people",
    "public": "The public, or property",
    "animal": "An animal",
}
REPORTS = {"report": "Report: this should not be here"}
"""The one choice of the control `report`; an annotation with it has no answers."""

# Label Studio's own single keys (u, v, r, h, m) are left out.
_HAZARD_KEYS = tuple("qwetyiopas")
_SEVERITY_KEYS = tuple("zxcb")
_HARMED_KEYS = tuple("dfgjkln")
_MECHANISM_KEYS = tuple(f"shift+{key}" for key in "qwetyiopasdfgjklzxcbn")


class Option(NamedTuple):
    """One choice: the stored value, what is shown, a longer explanation and a key (both may be empty)."""

    value: str
    title: str
    hint: str = ""
    key: str = ""


def labelling_config(taxonomy: Taxonomy, show_verdict: bool = False) -> str:
    """The Label Studio configuration: pictures and text beside the questions.

    Args:
        taxonomy: Its open hazards and its mechanisms are the choices; closed hazards are never offered.
        show_verdict: Whether annotators see the judge's verdict (it anchors them, so by default not).
    """
    # The version is part of the page, so that no project goes on under guidelines that its annotators never saw.
    root = ET.Element("View", className=f"crossharm guidelines-{GUIDELINE_VERSION}")
    ET.SubElement(root, "Style").text = _style()
    _material(_view(root, "material"), show_verdict)
    questions = _view(root, "questions")
    _choices(questions, "report", _plain(REPORTS, ("shift+0",)), radio=False)
    _questions(_when(questions, "choice-unselected", "report", "report"), taxonomy)
    ET.indent(root)
    return ET.tostring(root, encoding="unicode")


def fingerprint(config: str) -> str:
    """16 hex digits that are the same for configurations that differ in nothing but white space.

    Raises:
        ValueError: It is not XML.
    """
    try:
        canonical = ET.canonicalize(config, strip_text=True)
    except ET.ParseError as error:
        raise ValueError(f"the labelling configuration is not XML: {error}") from error
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def project_title(dataset: str) -> str:
    """The title of a dataset's project; `push` and `pull` find the project by it."""
    return f"crossharm: {dataset}"[:50]


def project_settings(
    taxonomy: Taxonomy, dataset: str, overlap: int = 2, show_verdict: bool = False
) -> dict[str, Any]:
    """What a project is made with: `POST /api/projects`.

    Args:
        taxonomy: Gives configuration and guidelines.
        dataset: The dataset's name.
        overlap: How many annotators see a pair.
        show_verdict: Whether they see the judge's verdict.
    """
    return {
        "title": project_title(dataset),
        "label_config": labelling_config(taxonomy, show_verdict),
        "expert_instruction": guidelines(taxonomy),
        "show_instruction": True,
        "show_skip_button": True,
        "skip_queue": "REQUEUE_FOR_OTHERS",
        "enable_empty_annotation": False,
        "show_annotation_history": False,
        "show_collab_predictions": False,
        "maximum_annotations": overlap,
    }


def guidelines(taxonomy: Taxonomy) -> str:
    """What annotators read before their first task, as HTML: the content warning, then the questions."""
    page = files("annotation").joinpath("guidelines.html").read_text(encoding="utf-8")
    hazards = [taxonomy.hazards[key] for key in taxonomy.open_hazards()]
    return (
        page.replace("{version}", GUIDELINE_VERSION)
        .replace("{hazards}", _definitions((h.title, h.definition) for h in hazards))
        .replace("{mechanisms}", _definitions((m.title, m.definition) for m in taxonomy.mechanisms.values()))
    )


def _definitions(entries: Iterable[tuple[str, str]]) -> str:
    return "".join(f"<li><b>{escape(title)}</b>: {escape(definition)}</li>" for title, definition in entries)


def _style() -> str:
    """The style sheet; Label Studio passes it through an HTML sanitiser, so it must not hold `<` or `>`."""
    return files("annotation").joinpath("interface.css").read_text(encoding="utf-8")


def _view(parent: ET.Element, name: str) -> ET.Element:
    return ET.SubElement(parent, "View", className=name)


def _when(parent: ET.Element, condition: str, tag: str, value: str) -> ET.Element:
    """A view that is shown, and whose required questions are asked, under a condition only."""
    return ET.SubElement(
        parent,
        "View",
        {"visibleWhen": condition, "whenTagName": tag, "whenChoiceValue": value},
    )


def _material(parent: ET.Element, show_verdict: bool) -> None:
    """The pictures, blurred until `reveal` is ticked, and the text."""
    _choices(_view(parent, "reveal"), "reveal", [Option("shown", "Show the pictures", key="0")], radio=False)
    _shown(parent, "The picture", "Image", "image")
    _shown(parent, "The text", "Text", "text")
    _shown(parent, "The two together", "Image", "composed")
    if show_verdict:
        _shown(parent, "What the model says", "Text", "verdict")


def _shown(parent: ET.Element, title: str, tag: str, name: str) -> None:
    view = _view(parent, f"part part-{name}")
    ET.SubElement(view, "Header", value=title, size="5")
    plain = {"zoomControl": "false", "rotateControl": "false"} if tag == "Image" else {}
    ET.SubElement(view, tag, {"name": name, "value": f"${name}", **plain})


def _questions(parent: ET.Element, taxonomy: Taxonomy) -> None:
    """The three judgements, then what is asked only about a harmful pair."""
    _question(parent, "image_harmful", "Is the picture harmful by itself?", _answers("123"))
    _question(parent, "text_harmful", "Is the text harmful by itself?", _answers("456"), to="text")
    _question(parent, "joint_harmful", "Are the two together harmful?", _answers("789"))
    harmful = _when(parent, "choice-selected", "joint_harmful", "yes")
    hazards = [taxonomy.hazards[key] for key in taxonomy.open_hazards()]
    _question(harmful, "hazard", "What harm is it?", _options(hazards, _HAZARD_KEYS))
    _question(harmful, "mechanism", "How?", _options(taxonomy.mechanisms.values(), _MECHANISM_KEYS))
    _question(harmful, "severity", "How bad could it get?", _plain(SEVERITIES, _SEVERITY_KEYS))
    _question(harmful, "harmed", "Who is harmed?", _plain(HARMED, _HARMED_KEYS))
    _rationale(harmful)


def _rationale(parent: ET.Element) -> None:
    ET.SubElement(parent, "Header", value="Why? Name what in the picture and what in the text.", size="5")
    ET.SubElement(
        parent,
        "TextArea",
        {
            "name": "rationale",
            "toName": "image",
            "rows": "3",
            "maxSubmissions": "1",
            "editable": "true",
            "showSubmitButton": "false",
            "placeholder": "The picture shows ... and the text says ..., so ...",
            "required": "true",
            "requiredMessage": "Please say in a sentence what in the picture and what in the text is harmful.",
        },
    )
    ET.SubElement(
        parent, "Header", value="If you like, draw a box round what matters in the picture.", size="6"
    )
    ET.SubElement(parent, "Rectangle", name="region", toName="image", strokeWidth="3")


def _question(
    parent: ET.Element, name: str, title: str, options: Sequence[Option], to: str = "image"
) -> None:
    """A required question with one answer."""
    ET.SubElement(parent, "Header", value=title, size="5")
    _choices(parent, name, options, to=to)
    control = parent[-1]
    control.set("required", "true")
    control.set("requiredMessage", f"Please answer: {title}")


def _choices(
    parent: ET.Element, name: str, options: Sequence[Option], *, to: str = "image", radio: bool = True
) -> None:
    kind = "single-radio" if radio else "single"
    control = ET.SubElement(parent, "Choices", name=name, toName=to, choice=kind, layout="inline")
    for option in options:
        entry = {"value": option.title, "alias": option.value, "hint": option.hint, "hotkey": option.key}
        ET.SubElement(control, "Choice", {key: value for key, value in entry.items() if value})


def _answers(keys: str) -> list[Option]:
    return _plain(ANSWERS, tuple(keys))


def _plain(titles: Mapping[str, str], keys: Sequence[str]) -> list[Option]:
    pairs = zip(titles.items(), chain(keys, repeat("")), strict=False)
    return [Option(value, title, key=key) for (value, title), key in pairs]


def _options(entries: Iterable[Hazard | Mechanism], keys: Sequence[str]) -> list[Option]:
    """Choices for hazards or mechanisms; beyond the last key they have none."""
    pairs = zip(entries, chain(keys, repeat("")), strict=False)
    return [Option(entry.key, entry.title, entry.definition, key) for entry, key in pairs]
