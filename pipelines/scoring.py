"""Score a tinyworld build against the rules, which no stage has read: precision, recall, yield.

The truth of an asset follows from its name, the truth of a pair from its two names; so a dataset's folder is all
that is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds

from generators.tinyworld.grammar import utter
from generators.tinyworld.renderer import describe, objects_of
from generators.tinyworld.rules import combinations, harm_of
from generators.tinyworld.source import parse_name, scene_of
from generators.tinyworld.world import load_world, with_article
from pipelines.kit import Kit
from schemas.config import TINYWORLD, BuildConfig
from schemas.records import Scenario

Scores = dict[str, dict[str, Any]]
DROPPED_LATE = frozenset({"select"})
"""Stages whose dropped assets were in a split's pool."""


class Item(NamedTuple):
    """An asset of a build by its name, with the split whose pool it was in (or empty)."""

    name: str
    split: str


class World(NamedTuple):
    """A finished build, as far as scoring needs it."""

    images: dict[str, Item]
    texts: dict[str, Item]
    rows: list[dict[str, Any]]
    candidates: list[dict[str, Any]]
    screened_out: frozenset[str]


def score(config: BuildConfig, kit: Kit) -> Scores:
    """All scores of a build of tinyworld, each `{"value", "of"}`; empty for any other pool."""
    if (config.images.source, config.texts.source) != ((TINYWORLD,), (TINYWORLD,)):
        return {}
    world = read_world(kit.out)
    names = [name for source in (*kit.images, *kit.texts) for name in source.names()]  # type: ignore[union-attr]
    yields = {method: candidate_yield(world, method) for method in ("scenario", "random", "clip")}
    emergent = [row for row in world.rows if row["role"] == "emergent"]
    known = [row for row in emergent if row["split"] != "test_ood"]
    held_out = [row for row in emergent if row["split"] == "test_ood"]
    ratio = yields["scenario"]["value"] or 0.0
    base = yields["random"]["value"]
    return {
        "precision": _share(is_harmful(world, row) for row in emergent),
        "precision_known": _share(is_harmful(world, row) for row in known),
        "precision_held_out": _share(is_harmful(world, row) for row in held_out),
        "hazard_accuracy": _share(right_hazard(world, row) for row in emergent if is_harmful(world, row)),
        "contrast_precision": _share(
            not is_harmful(world, row) for row in world.rows if row["role"].startswith("contrast")
        ),
        "benign_precision": _share(
            not is_harmful(world, row) for row in world.rows if row["role"] == "benign"
        ),
        "combination_recall": combination_recall(world, kit.scenarios, emergent),
        "screening_recall": _share(name in world.screened_out for name in names if parse_name(name)[1]),
        "screening_false_exclusion": _share(
            name in world.screened_out for name in names if not parse_name(name)[1]
        ),
        "yield_scenario": yields["scenario"],
        "yield_random": yields["random"],
        "yield_clip": yields["clip"],
        "yield_ratio": {"value": round(ratio / base, 2) if base else None, "of": yields["scenario"]["of"]},
    }


def read_world(out: Path) -> World:
    """Read what a build wrote."""
    rows = _rows(out)
    excluded = _table(out / "excluded").to_pylist()
    images = {row["image_id"]: Item(row["image_name"], row["split"]) for row in rows}
    texts = {row["text_id"]: Item(row["text_name"], row["split"]) for row in rows}
    candidates = [{**row, "split": ""} for row in rows]
    for row in excluded:
        if row["modality"] == "candidate":
            candidates.append(json.loads(row["detail"]))
        elif row["reason"] == "unused":
            (images if row["modality"] == "image" else texts)[row["id"]] = Item(row["name"], row["detail"])
    screened = frozenset(row["name"] for row in excluded if row["stage"] == "screen")
    return World(images, texts, rows, candidates, screened)


def is_harmful(world: World, pair: dict[str, Any]) -> bool:
    """Whether a pair is emergent harm by the rules."""
    return _harm(world.images[pair["image_id"]].name, world.texts[pair["text_id"]].name) is not None


def right_hazard(world: World, pair: dict[str, Any]) -> bool:
    """Whether a harmful pair is labelled with the hazard that the rules give."""
    harm = _harm(world.images[pair["image_id"]].name, world.texts[pair["text_id"]].name)
    return harm is not None and harm.hazard == pair["hazard"]


def candidate_yield(world: World, method: str) -> dict[str, Any]:
    """Share of the candidates of a method that are emergent harm by the rules."""
    return _share(is_harmful(world, c) for c in world.candidates if c["method"] == method)


def combination_recall(
    world: World, scenarios: Iterable[Scenario], emergent: list[dict[str, Any]]
) -> dict[str, Any]:
    """Of the harmful combinations that a split's pools contain and a scenario asks for, how many have a pair."""
    asked = {(s.held_out, s.image_query, s.text_query) for s in scenarios}
    found = {
        (row["split"], concept, intent_of(world.texts[row["text_id"]].name))
        for row in emergent
        for concept in concepts_of(world.images[row["image_id"]].name)
    }
    shares = []
    for split in sorted({item.split for item in (*world.images.values(), *world.texts.values())}):
        concepts = {c for i in world.images.values() if i.split == split for c in concepts_of(i.name)}
        intents = {intent_of(item.name) for item in world.texts.values() if item.split == split}
        for c in combinations():
            possible = c.concept in concepts and c.intent in intents
            if possible and (split == "test_ood", *_queries(c.concept, c.intent)) in asked:
                shares.append((split, c.concept, c.intent) in found)
    return _share(shares)


@cache
def concepts_of(image_name: str) -> tuple[str, ...]:
    """The concepts of a scene, by its name."""
    return objects_of(describe(scene_of(image_name)))


@cache
def intent_of(text_name: str) -> str:
    """The intent of an utterance, by its name."""
    seed, plain = parse_name(text_name)
    return utter(seed, plainly_harmful=plain).intent


@cache
def _harm(image_name: str, text_name: str) -> Any:
    return harm_of(concepts_of(image_name), intent_of(text_name))


def _queries(concept: str, intent: str) -> tuple[str, str]:
    return f"a picture of {with_article(concept)}", f"someone {load_world().intent(intent).description}"


def _share(hits: Iterable[bool]) -> dict[str, Any]:
    outcomes = list(hits)
    return {"value": round(sum(outcomes) / len(outcomes), 4) if outcomes else None, "of": len(outcomes)}


def _rows(out: Path) -> list[dict[str, Any]]:
    columns = ["image_id", "text_id", "image_name", "text_name", "role", "hazard", "method"]
    rows = []
    for path in sorted((out / "data").glob("*.parquet")):
        split = path.name.split("-")[0]
        rows += [{**row, "split": split} for row in ds.dataset(path).to_table(columns=columns).to_pylist()]
    return rows


def _table(folder: Path) -> pa.Table:
    return ds.dataset(sorted(map(str, folder.glob("*.parquet")))).to_table()
