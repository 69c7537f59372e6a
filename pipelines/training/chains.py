"""Reasoning chains for supervised fine-tuning: what the image shows, what each part is alone, what both mean together.

After the reasoning corpora of GuardReasoner-VL (arXiv 2505.11049), but made of what the dataset knows instead of a
larger model's words: the screening's verdict on each modality, people's rationale or else the machine's, and at the
head what the model itself reads (it cannot learn to judge by what it does not see), or else the alt text.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pipelines.training.examples import prompt_of
from schemas.reasoning import BENIGN, HARMFUL, Answer, Reasoned, render

NOTHING = "what the image shows does not turn what the text says into harm."
"""Ends the reasoning about a pair that is benign together."""


def chain_of(example: Mapping[str, Any], reading: str = "") -> Reasoned:
    """The completion to learn for a pair.

    Args:
        example: The fields of `Example`.
        reading: What the model says that image and text show and say; the alt text stands for it if there is none.

    Raises:
        ValueError: A harmful pair without a rationale has nothing to reason with.
    """
    harmful = example["verdict"] == HARMFUL
    if harmful and not example["references"]:
        raise ValueError(f"pair {example['id']} is harmful and has no rationale")
    why = example["references"][0] if harmful else NOTHING
    answer = Answer(HARMFUL, example["hazard"], why) if harmful else Answer(BENIGN, "", "")
    verdicts = [_verdict(example["p_image"]), _verdict(example["p_text"])]
    alone = f"The image alone is {verdicts[0]}, the text alone is {verdicts[1]}."
    return Reasoned(" ".join([*_shown(example, reading), alone, f"Together: {why}"]), answer)


def _shown(example: Mapping[str, Any], reading: str) -> list[str]:
    if reading:
        return [reading]
    return [f"The image shows {example['image_says'][0].rstrip('.')}."] if example["image_says"] else []


def _verdict(probability: float) -> str:
    return HARMFUL if probability >= 0.5 else BENIGN


def lesson_of(example: Mapping[str, Any], reading: str = "") -> dict[str, Any]:
    """A row for TRL's SFTTrainer: `prompt` and `completion` as conversations; the image is a column beside them."""
    said = [{"type": "text", "text": render(chain_of(example, reading))}]
    return {"prompt": prompt_of(example["text"]), "completion": [{"role": "assistant", "content": said}]}


def can_teach(example: Mapping[str, Any]) -> bool:
    """Whether a chain can be made of an example."""
    return example["verdict"] == BENIGN or bool(example["references"])
