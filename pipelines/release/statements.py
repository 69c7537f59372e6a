"""The sentences that the card and the Croissant description share: limits, uses, personal data."""

from __future__ import annotations

from pipelines.release.facts import Facts

INTENDED = (
    "training and testing models that moderate combinations of image and text",
    "measuring how far a model relies on one modality",
    "research on emergent harm, its mechanisms and its rationales",
)
FORBIDDEN = (
    "making models or people better at producing harmful content",
    "identifying, contacting or profiling anybody who is shown or who wrote",
    "decisions about people without a human who looks at the case",
    "passing the data on without its gate, card and licences, or showing pairs out of context",
    "pretraining corpora of general models",
)
MECHANICAL = (
    "Labels without annotation come from one judge model: its mistakes and preferences are in them, and the thresholds "
    "keep what it is sure of, so hard cases are rarer than in the world."
)


def collection(facts: Facts) -> str:
    """How images and texts came together."""
    origins = sorted({f"{place.origin or 'unknown'} {place.modality}s" for place in facts.places})
    yields = "; ".join(f"{line.title}: {line.share:.1%} of {line.judged:,}" for line in facts.figures.yields)
    return (
        f"Automatic, from {', '.join(origins) or 'no sources'}: screened one modality at a time, near copies merged, "
        "paired by scenarios, judged as a pair and in parts, and selected under quotas with benign contrast partners. "
        f"{facts.figures.balance()}" + (f" Yield by the judge: {yields}." if yields else "")
    )


def annotation_protocol(facts: Facts) -> str:
    """Who labelled, and how."""
    people = facts.annotated
    if not people:
        return "No human annotation: labels are the judge's, hazards and mechanisms the scenarios'."
    return (
        f"{people.annotators} annotators gave {people.annotations} annotations on {people.pairs} pairs "
        f"({people.skipped} skipped): harm of the image, the text and the pair, hazard, mechanism, severity, rationale."
    )


def agreement(facts: Facts) -> list[str]:
    """Krippendorff's alpha of every question that has one."""
    questions = facts.annotated.agreement if facts.annotated else {}
    return [
        f"Krippendorff's alpha of {name}: {of['alpha']:.3f} on {of.get('pairs', 0)} pairs"
        for name, of in questions.items()
        if of.get("alpha") is not None
    ]


def limits(facts: Facts) -> list[str]:
    """What the data cannot be relied on for."""
    generated = sum(place.assets for place in facts.places if place.origin == "generated")
    everything = sum(place.assets for place in facts.places)
    found = [*facts.figures.notices]
    if everything and generated:
        found.append(f"{generated / everything:.0%} of the images and texts are generated, not found.")
    found += [] if facts.annotated else [MECHANICAL]
    found += [f"The texts are in one language ({facts.language}), and what harms is judged by one policy."]
    found += _rare(facts)
    found += ["Screening and removal of personal data are automatic and miss some."]
    return found


def biases(facts: Facts) -> list[str]:
    """Which way the data leans."""
    counts = {hazard: sum(splits.values()) for hazard, splits in facts.figures.hazards.items()}
    shares = ", ".join(f"{hazard} {number:,}" for hazard, number in counts.items())
    return [
        f"Hazards are unequal by number of emergent pairs: {shares or 'none'}.",
        "What is found depends on the scenarios that were sought, and on what the embedding model and the judge know.",
        "The share of harmful pairs is set by quotas and says nothing about how often such pairs occur.",
    ]


def personal(facts: Facts) -> list[str]:
    """What there is about people, and what was done about it."""
    on = facts.configuration.get("screen", {}).get("personal_data", True)
    texts = "are excluded" if on else "were NOT sought in this build"
    found = [
        f"Texts with e-mail addresses, phone, card or bank numbers {texts}; images are stored without metadata.",
        "Nothing was fetched from addresses in the data.",
    ]
    if any(place.origin == "retrieved" for place in facts.places):
        found.append("Retrieved images and texts may show or name real people; they were not asked.")
    return found


def citation(facts: Facts) -> str:
    """BibTeX; the digest stands for the version."""
    key = "".join(letter for letter in facts.name if letter.isalnum()).lower()
    address = (
        f"\n  howpublished = {{https://huggingface.co/datasets/{facts.terms.repo}}},"
        if facts.terms.repo
        else ""
    )
    return (
        f"@misc{{{key},\n  title = {{{facts.name}: image-text pairs with emergent harm}},{address}\n"
        f"  note = {{made with crossharm, dataset digest {facts.digest[:16]}}}\n}}"
    )


def _rare(facts: Facts) -> list[str]:
    counts = {hazard: sum(splits.values()) for hazard, splits in facts.figures.hazards.items()}
    rare = [f"{hazard} ({number})" for hazard, number in counts.items() if number < 30]
    return (
        [f"Hazards with under 30 emergent pairs, too few to measure on: {', '.join(rare)}."] if rare else []
    )
