"""The model card of a run, in the hub's format."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_CARD = """\
---
library_name: transformers
pipeline_tag: image-text-to-text
tags: [crossharm, content-moderation, {kind}]
---
# {name}

A vision-language model that reasons about emergent harm: a benign image and a benign text that are harmful together.
Made by `python -m pipelines.train {kind}` from `{base}` on the dataset `{dataset}` (its digest is
`{digest:.12}`), {steps:,} steps.

It answers in the form `<think>reasoning</think><result>{{"verdict", "hazard", "rationale"}}</result>`. Its verdicts are
those of the dataset's labels, people's or a machine's, and are no judgement on any person. How good they are is
measured by `python -m pipelines.evaluate`; a model trained on `tinyworld` knows pictograms and one grammar, and nothing
else.

| at the end of training | value |
|---|---|
{metrics}

Configuration and versions are in `run.json` of the run.
"""
_LEFT_OUT = (
    "step",
    "epoch",
    "total_flos",
    "train_runtime",
    "train_steps_per_second",
    "train_samples_per_second",
)


def model_card(facts: Mapping[str, Any]) -> str:
    """The card's text.

    Args:
        facts: What `run.json` holds: `name`, `kind`, `base`, `dataset` (`name`, `digest`), `steps` and `metrics`.
    """
    metrics = {name: value for name, value in facts["metrics"].items() if name not in _LEFT_OUT}
    rows = "\n".join(f"| {name} | {value:.4g} |" for name, value in sorted(metrics.items()))
    dataset = facts["dataset"]
    named = {name: facts[name] for name in ("name", "kind", "base", "steps")}
    return _CARD.format(dataset=dataset["name"], digest=dataset["digest"], metrics=rows, **named)
