"""How well the base reads: what it says of unseen scenes and utterances, word for word."""

from __future__ import annotations

import re
from collections.abc import Sequence
from pathlib import Path
from typing import NamedTuple

import torch
from transformers import AutoModelForImageTextToText, AutoProcessor

from generators.tinyworld.grammar import utter
from generators.tinyworld.train.base_lessons import DESCRIBE_IMAGE, DESCRIBE_TEXT
from generators.tinyworld.train.examples import ScenePool
from generators.tinyworld.world import load_world
from schemas.reasoning import READING

BATCH = 32


class Readings(NamedTuple):
    """Shares in [0, 1], of what the base writes greedily."""

    objects: float
    """Of the things shown, how many the description of the image names exactly."""
    texts: float
    """Of texts, how many are described exactly."""
    both: float
    """Of pairs, how often the reading names exactly the things shown and says exactly what the text does."""
    both_of_one: float
    """The same, of pairs whose image shows one thing."""


def measure_base(folder: Path, pool: ScenePool, first_seed: int, count: int) -> Readings:
    """Ask about the first `count` scenes, each beside an utterance from the seeds from `first_seed` on."""
    said = [utter(first_seed + n) for n in range(count)]
    does = [load_world().intent(utterance.intent).description for utterance in said]
    shown = [set(pool.objects(row)) for row in range(count)]
    seen = write(folder, [(row, DESCRIBE_IMAGE) for row in range(count)], pool)
    told = write(folder, [(-1, DESCRIBE_TEXT.format(text=utterance.text)) for utterance in said], pool)
    read = write(
        folder, [(row, READING.format(text=utterance.text)) for row, utterance in enumerate(said)], pool
    )
    found = sum(len(named(text) & names) for text, names in zip(seen, shown, strict=True))
    right = [text == f"The text {wanted}." for text, wanted in zip(told, does, strict=True)]
    both = [
        named(text) == names and text.endswith(f", and the text {wanted}.")
        for text, names, wanted in zip(read, shown, does, strict=True)
    ]
    of_one = [correct for correct, names in zip(both, shown, strict=True) if len(names) == 1]
    return Readings(
        found / sum(map(len, shown)), sum(right) / count, sum(both) / count, sum(of_one) / len(of_one)
    )


def named(text: str) -> set[str]:
    """The concepts that a listing names, by their exact names."""
    names = (concept.name for concept in load_world().concepts)
    return {name for name in names if re.search(rf"\ban? {re.escape(name)}(?=,|\.| and )", text)}


@torch.inference_mode()
def write(folder: Path, asked: Sequence[tuple[int, str]], pool: ScenePool) -> list[str]:
    """Greedy answers to questions about scenes of a pool (row -1 for none), through processor and template."""
    processor = AutoProcessor.from_pretrained(str(folder))
    model = AutoModelForImageTextToText.from_pretrained(str(folder), dtype=torch.float32).eval()
    written: list[str] = []
    for start in range(0, len(asked), BATCH):
        inputs = processor.apply_chat_template(
            [_conversation(row, question, pool) for row, question in asked[start : start + BATCH]],
            add_generation_prompt=True,
            tokenize=True,
            return_dict=True,
            return_tensors="pt",
            processor_kwargs={"padding": True},
        )
        ids = model.generate(**inputs, max_new_tokens=80, do_sample=False)
        written += processor.batch_decode(ids[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
    return written


def _conversation(row: int, question: str, pool: ScenePool) -> list[dict[str, object]]:
    image = [{"type": "image", "image": pool.pixels[row].transpose(1, 2, 0)}] if row >= 0 else []
    return [{"role": "user", "content": [*image, {"type": "text", "text": question}]}]
