"""How good the trained models are, on scenes and utterances that no training has seen."""

from __future__ import annotations

import random
from pathlib import Path
from typing import NamedTuple

import numpy as np
import open_clip
import torch
from numpy.typing import NDArray
from transformers import (
    AutoModelForImageClassification,
    AutoModelForImageTextToText,
    AutoModelForSequenceClassification,
    AutoProcessor,
    AutoTokenizer,
)

from generators.tinyworld.grammar import utter
from generators.tinyworld.renderer import caption
from generators.tinyworld.rules import Combination, combinations, harm_of, is_held_out
from generators.tinyworld.train.dual_encoder import normalise
from generators.tinyworld.train.examples import ScenePool, draw_pool
from generators.tinyworld.train.measure_base import Readings, measure_base
from generators.tinyworld.world import load_world
from schemas.questions import NO, YES, harm_question

MEASURE_SEEDS = 1 << 41


class Figures(NamedTuple):
    """Shares in [0, 1], each measured on unseen scenes and texts."""

    retrieval_at_1: float
    """Of captions, how many find their scene first among 128."""
    auc_known: float
    auc_held_out_pairs: float
    auc_held_out_families: float
    image_screen_recall: float
    image_screen_false: float
    text_screen_recall: float
    text_screen_false: float
    base: Readings


def measure(folder: Path, count: int) -> Figures:
    """Measure all five models in a folder, on `count` examples of each kind."""
    torch.manual_seed(0)
    pool = draw_pool(MEASURE_SEEDS, max(128, 2 * count))
    harmful = draw_pool(MEASURE_SEEDS, count, plainly_harmful=True)
    retrieval = recall_at_1(folder / "clip", pool)
    groups = judged(folder / "judge", pool, count)
    image = [(image_scores(folder / "screen-image", p) >= 0.5).mean() for p in (harmful, pool)]
    text = [(text_scores(folder / "screen-text", count, plain) >= 0.5).mean() for plain in (True, False)]
    known, pairs, families = (auc(groups[name], groups["benign"]) for name in ("known", "pairs", "families"))
    read = measure_base(folder / "base", pool, MEASURE_SEEDS, max(2, count // 2))
    (caught, refused), (caught_texts, refused_texts) = map(float, image), map(float, text)
    return Figures(retrieval, known, pairs, families, caught, refused, caught_texts, refused_texts, base=read)


def auc(positive: NDArray[np.float64], negative: NDArray[np.float64]) -> float:
    """Area under the ROC curve: the chance that a positive scores above a negative, ties counted half."""
    above = (positive[:, None] > negative[None, :]).mean()
    return float(above + (positive[:, None] == negative[None, :]).mean() / 2)


@torch.inference_mode()
def recall_at_1(folder: Path, pool: ScenePool) -> float:
    """Share of 128 captions whose own scene is nearest."""
    model, _, _ = open_clip.create_model_and_transforms(f"local-dir:{folder}")
    tokenizer = open_clip.get_tokenizer(f"local-dir:{folder}")
    model.eval()
    images = model.encode_image(normalise(torch.from_numpy(pool.pixels[:128])), normalize=True)
    texts = tokenizer([caption(scene, n) for n, scene in enumerate(pool.scenes[:128])])
    best = (model.encode_text(texts, normalize=True) @ images.T).argmax(dim=1)
    return float((best == torch.arange(128)).float().mean())


@torch.inference_mode()
def image_scores(folder: Path, pool: ScenePool) -> NDArray[np.float64]:
    """Probability of harm of every scene."""
    model = AutoModelForImageClassification.from_pretrained(str(folder), dtype=torch.float32).eval()
    logits = [model(pixel_values=normalise(p)).logits for p in torch.from_numpy(pool.pixels).split(256)]
    return torch.cat(logits).softmax(dim=-1)[:, 1].double().numpy()


@torch.inference_mode()
def text_scores(folder: Path, count: int, plainly_harmful: bool) -> NDArray[np.float64]:
    """Probability of harm of utterances."""
    model = AutoModelForSequenceClassification.from_pretrained(str(folder), dtype=torch.float32).eval()
    tokenizer = AutoTokenizer.from_pretrained(str(folder))
    texts = [utter(MEASURE_SEEDS + n, plainly_harmful=plainly_harmful).text for n in range(count)]
    batch = tokenizer(texts, padding=True, return_tensors="pt")
    batch.pop("token_type_ids", None)
    return model(**batch).logits.softmax(dim=-1)[:, 1].double().numpy()


def judged(folder: Path, pool: ScenePool, count: int) -> dict[str, NDArray[np.float64]]:
    """The judge's joint probability on benign pairs, and on harmful ones by how well their kind is known."""
    rng = random.Random("measure")
    wanted: dict[str, list[Combination]] = {"known": [], "pairs": [], "families": []}
    trained = {(c.property, c.kind) for c in combinations() if not c.held_out}
    for combination in combinations():
        known_family = (combination.property, combination.kind) in trained
        group = "known" if not combination.held_out else "pairs" if known_family else "families"
        wanted[group].append(combination)
    groups = {name: _harmful_pairs(pool, cs, count, rng) for name, cs in wanted.items()}
    groups["benign"] = _benign_pairs(pool, count, rng)
    return {name: ask(folder, pool, pairs) for name, pairs in groups.items()}


def _harmful_pairs(
    pool: ScenePool, wanted: list[Combination], count: int, rng: random.Random
) -> list[tuple[int, str]]:
    pairs = []
    for n in range(count):
        combination = wanted[n % len(wanted)]
        rows = [r for r in range(len(pool.scenes)) if combination.concept in pool.objects(r)]
        if rows:
            pairs.append((rng.choice(rows), utter(MEASURE_SEEDS + n, intent=combination.intent).text))
    return pairs


def _benign_pairs(pool: ScenePool, count: int, rng: random.Random) -> list[tuple[int, str]]:
    intents = [intent.name for intent in load_world().intents]
    pairs: list[tuple[int, str]] = []
    while len(pairs) < count:
        row, intent = rng.randrange(len(pool.scenes)), rng.choice(intents)
        names = pool.objects(row)
        if harm_of(names, intent) is None and not any(is_held_out(name, intent) for name in names):
            pairs.append((row, utter(MEASURE_SEEDS + len(pairs), intent=intent).text))
    return pairs


@torch.inference_mode()
def ask(folder: Path, pool: ScenePool, pairs: list[tuple[int, str]]) -> NDArray[np.float64]:
    """The judge's probability of Yes for pairs of a scene's row and a text, through processor and template."""
    processor = AutoProcessor.from_pretrained(str(folder))
    model = AutoModelForImageTextToText.from_pretrained(str(folder), dtype=torch.float32).eval()
    yes, no = (processor.tokenizer.encode(a, add_special_tokens=False)[0] for a in (YES, NO))
    scores = []
    for start in range(0, len(pairs), 64):
        batch = pairs[start : start + 64]
        content = [
            [
                {
                    "role": "user",
                    "content": [{"type": "image"}, {"type": "text", "text": harm_question(True, text)}],
                }
            ]
            for _, text in batch
        ]
        prompts = [processor.apply_chat_template(c, add_generation_prompt=True) for c in content]
        images = [pool.pixels[row].transpose(1, 2, 0) for row, _ in batch]
        inputs = processor(
            text=prompts,
            images=images,
            padding=True,
            padding_side="left",
            add_special_tokens=False,
            return_tensors="pt",
        )
        logits = model(**inputs).logits[:, -1]
        scores.append(logits[:, [yes, no]].softmax(dim=-1)[:, 0])
    return torch.cat(scores).double().numpy()
