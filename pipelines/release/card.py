"""The dataset card: `README.md` with the metadata that the Hub and `datasets` read, and the figures of this build."""

from __future__ import annotations

import html
import re
from collections.abc import Iterator
from functools import lru_cache, partial
from typing import Any

from pipelines.release import statements
from pipelines.release.configs import data_configs, dataset_info
from pipelines.release.facts import Facts
from schemas.reasons import meaning
from schemas.taxonomy import load_taxonomy

GATE_PROMPT = (
    "These pairs imply harm and are meant for research in trust and safety. Access is granted one by one. By asking "
    "for it you agree to the uses that the card forbids: no making of harmful content, no identifying of people, no "
    "decisions about people without a human, no passing on, no pretraining of general models. Delete your copy when "
    "you are asked to, and keep it in step with removals."
)
GATE_FIELDS: dict[str, Any] = {
    "Full name": "text",
    "Affiliation": "text",
    "Country": "country",
    "Purpose": {
        "type": "select",
        "options": ["Training a moderation model", "Testing a moderation model", "Other research"],
    },
    "What I will do with the data": "text",
    "I have read the content warning and am of age": "checkbox",
    "I agree to the forbidden uses and to removals": "checkbox",
}
TASKS = ["image-text-to-text", "image-classification", "text-classification"]
TAGS = ["not-for-all-audiences", "content-moderation", "trust-and-safety", "emergent-harm", "multimodal"]
SECTIONS = ("screen", "dedupe", "pair", "contrast", "select")
"""Sections of the configuration whose numbers decide what is in the dataset."""
SHOWN = 20
"""Sources listed by name."""
CELL = 120
"""Characters of a value from the data in a cell of a table."""


@lru_cache(maxsize=1)
def card_text(facts: Facts) -> str:
    """The whole card; same folder and terms, same text. What comes from the data is escaped."""
    taxonomy = load_taxonomy()
    body = _template().render(
        facts=facts,
        harmful=sum(facts.figures.roles["emergent"].values()),
        address=facts.terms.repo or facts.name,
        shown=SHOWN,
        models=list(_models(facts)),
        thresholds=list(_thresholds(facts)),
        titles={key: hazard.title for key, hazard in taxonomy.hazards.items()},
        closed=[hazard.title for hazard in taxonomy.hazards.values() if hazard.closed],
        limits=[escape_markdown(limit) for limit in statements.limits(facts)],
        personal=statements.personal(facts),
        intended=statements.INTENDED,
        forbidden=statements.FORBIDDEN,
        citation=statements.citation(facts),
    )
    return f"---\n{_metadata(facts)}\n---\n\n{body}"


@lru_cache
def _template() -> Any:
    import jinja2

    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("pipelines.release", "."),
        autoescape=False,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=True,
    )
    environment.filters |= {
        "md": escape_markdown,
        "cell": partial(escape_markdown, limit=CELL),
        "number": lambda number: f"{number:,}",
        "decimals": lambda number: "-" if number is None else f"{number:.3f}",
        "limit": _limit,
        "meaning": meaning,
    }
    return environment.get_template("card.md.jinja")


def _limit(limit: Any) -> Any:
    """A check's limits in words: `at least 0.85, at most 1`."""
    if not isinstance(limit, dict):
        return limit
    return ", ".join(f"{name.replace('_', ' ')} {value}" for name, value in limit.items())


def escape_markdown(value: Any, limit: int | None = None) -> str:
    """A value as one line that Markdown and HTML show as it is; nothing for None.

    Args:
        value: What the data or the publisher gives.
        limit: Characters after which it is cut off.
    """
    if value is None:
        return ""
    line = " ".join(str(value).split())
    line = line if limit is None or len(line) <= limit else f"{line[: limit - 1]}…"
    return re.sub(r"([\\`*\[\]|~$]|(?<!\w)_|_(?!\w))", r"\\\1", html.escape(line, quote=False))


def _metadata(facts: Facts) -> str:
    """The YAML block, without its fences."""
    from huggingface_hub import DatasetCardData

    licence: dict[str, Any] = {"license": facts.licence}
    if facts.licence == "other":
        licence["license_name"] = "by-row"
    card = DatasetCardData(
        pretty_name=facts.name,
        language=[facts.language],
        **licence,
        size_categories=[facts.size_category],
        task_categories=TASKS,
        annotations_creators=["expert-generated" if facts.annotated else "machine-generated"],
        tags=TAGS,
        viewer=False,
        extra_gated_heading="Ask for access, for research in trust and safety",
        extra_gated_prompt=GATE_PROMPT,
        extra_gated_fields=GATE_FIELDS,
        extra_gated_button_content="Ask for access",
        configs=data_configs(facts) or None,
        dataset_info=dataset_info(facts) or None,
    )
    return str(card.to_yaml(line_break="\n"))


def _models(facts: Facts) -> Iterator[tuple[str, str, str]]:
    """Step, name of its model (where the configuration tells) and fingerprint."""
    fingerprints: dict[str, str] = facts.manifest.get("models", {})
    for step, fingerprint in fingerprints.items():
        yield step, _model_name(step, facts.configuration), fingerprint[:16]


def _model_name(step: str, configuration: dict[str, Any]) -> str:
    """The model of a step: `judge`, `embed images`, `screen images: classifier:...`, `screen images: zero-shot:...`."""
    stage, _, rest = step.partition(" ")
    pool, _, member = rest.partition(": ")
    section = configuration.get("judge" if stage == "rationale" else stage, {})
    if stage == "screen":
        return _named(section.get("zero_shot" if member.startswith("zero") else f"{pool[:-1]}_classifier"))
    if stage == "generate":
        makers = configuration.get(pool, {})
        section = makers.get("language") or {"model": makers.get("diffusion")}
    return _named(section.get("endpoint") or section.get("model"))


def _named(member: dict[str, Any] | None) -> str:
    if not member:
        return ""
    name, revision = member.get("path") or member.get("model") or "", member.get("revision") or ""
    return f"{name} at {revision[:12]}" if revision else str(name)


def _thresholds(facts: Facts) -> Iterator[tuple[str, Any]]:
    """The plain values of the sections that decide."""
    for section in SECTIONS:
        for key, value in facts.configuration.get(section, {}).items():
            if isinstance(value, int | float | str) and value != "":
                yield f"{section}.{key}", value
            elif key == "split":
                yield f"{section}.{key}", ", ".join(f"{name} {share}" for name, share in value.items())
