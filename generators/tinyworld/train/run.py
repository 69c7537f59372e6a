"""The five trainings in order, and the measurement that goes into the model card."""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import open_clip
import torch
from rich.console import Console
from transformers import AutoTokenizer, PreTrainedTokenizerFast

from generators.tinyworld.grammar import utter
from generators.tinyworld.renderer import caption
from generators.tinyworld.rules import combinations
from generators.tinyworld.train.base import train_base
from generators.tinyworld.train.card import write_card
from generators.tinyworld.train.dual_encoder import train_dual_encoder, untrained
from generators.tinyworld.train.examples import TRAIN_SEEDS, ScenePool, draw_pool
from generators.tinyworld.train.judge import train_judge
from generators.tinyworld.train.lessons import DESCRIBE_IMAGE, DESCRIBE_TEXT, Lessons
from generators.tinyworld.train.measure import measure
from generators.tinyworld.train.screening import train_image_screener, train_text_screener
from generators.tinyworld.train.tokenizer import train_tokenizer
from generators.tinyworld.world import load_world
from schemas.questions import IMAGE_ALONE, JOINT, RATIONALE, TEXT_ALONE

MEASURED = 600
"""Pairs of each kind that the figures are of, at effort 1."""
STEPS = {"clip": 1900, "screen-image": 250, "screen-text": 250, "judge": 2250, "base": 1400}
"""Steps at effort 1: together under 90 minutes on 2 CPU cores with bfloat16 instructions."""


def train_all(
    out: Path, *, only: frozenset[str], scenes: int, effort: float, device: str, started: float
) -> None:
    """Train what `only` names, take the rest from `out`, then measure and write the card."""
    console = Console()
    torch.manual_seed(0)
    where = torch.device(device or ("cuda" if torch.cuda.is_available() else "cpu"))
    steps = {name: max(2, int(count * effort)) for name, count in STEPS.items()}
    console.log(f"rendering {scenes} scenes; models go to {out}; device {where}")
    pool = draw_pool(TRAIN_SEEDS, scenes)
    harmful = draw_pool(TRAIN_SEEDS, max(200, scenes // 8), plainly_harmful=True)
    tokenizer = _tokenizer(out, pool, renew="clip" in only)
    if "clip" in only:
        train_dual_encoder(pool, tokenizer, out / "clip", steps=steps["clip"], device=where)
    if "screen-image" in only:
        train_image_screener(pool, harmful, out / "screen-image", steps=steps["screen-image"], device=where)
    if "screen-text" in only:
        train_text_screener(tokenizer, out / "screen-text", steps=steps["screen-text"], device=where)
    if "judge" in only:
        encoder = load_dual_encoder(out / "clip").to(where)
        train_judge(pool, harmful, tokenizer, encoder, out / "judge", steps=steps["judge"], device=where)
    if "base" in only:
        encoder = load_dual_encoder(out / "clip").to(where)
        train_base(pool, encoder, out / "base", steps=steps["base"], device=where)
    figures = measure(out, max(30, round(MEASURED * min(1.0, effort))))
    write_card(out, figures, steps=steps, scenes=scenes, minutes=(time.monotonic() - started) / 60)
    console.log(f"done; the figures are in {out / 'README.md'}")


def load_dual_encoder(folder: Path) -> open_clip.CustomTextCLIP:
    """The trained dual encoder in single precision."""
    from safetensors.torch import load_file

    model = untrained()
    model.load_state_dict(
        {k: v.float() for k, v in load_file(str(folder / "open_clip_model.safetensors")).items()}
    )
    return model.eval()


def _tokenizer(out: Path, pool: ScenePool, *, renew: bool) -> PreTrainedTokenizerFast:
    folder = out / "tokenizer"
    if renew or not folder.exists():
        train_tokenizer(_texts(pool)).save_pretrained(str(folder))
    tokenizer: Any = AutoTokenizer.from_pretrained(str(folder), local_files_only=True)
    return tokenizer


def _texts(pool: ScenePool) -> list[str]:
    """Everything the models read or write, once over."""
    world = load_world()
    lessons = Lessons(pool, pool)
    texts = [caption(scene, seed) for seed, scene in enumerate(pool.scenes[:8000])]
    texts += [utter(TRAIN_SEEDS + n).text for n in range(20_000)]
    texts += [utter(TRAIN_SEEDS + n, plainly_harmful=True).text for n in range(2_000)]
    texts += [intent.description for intent in world.intents] * 20
    texts += [word for concept in world.concepts for word in (concept.name, *concept.aliases)] * 20
    texts += ["; ".join(lessons.fact(name) for name in names) for names in lessons.objects[:4000]]
    texts += [
        f"{c.concept} {c.mechanism.replace('_', ' ')} {c.property.replace('_', ' ')}" for c in combinations()
    ]
    return (
        texts + [JOINT, TEXT_ALONE, IMAGE_ALONE, RATIONALE, DESCRIBE_IMAGE, DESCRIBE_TEXT, "Answer:"] * 2000
    )
