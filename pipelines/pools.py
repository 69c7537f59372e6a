"""The two pools that pairs are made from: sources in; assets that are usable, benign alone and of one kind each out."""

from __future__ import annotations

from typing import Any, NamedTuple

import apache_beam as beam

from generators import diffusion, language
from generators.streamed import StreamedImages, part_of
from pipelines.kit import Kit
from pipelines.models.generation import ImageMaker, TextMaker
from pipelines.stages.dedupe import Dedupe
from pipelines.stages.embed import Embed
from pipelines.stages.generate import DrawnImages, Generate
from pipelines.stages.hashlist import Quarantine
from pipelines.stages.ingest import IngestImages, IngestTexts
from pipelines.stages.keep import Keep
from pipelines.stages.personal import Personal
from pipelines.stages.screen import Screen
from pipelines.stages.sources import ReadRows
from schemas.config import BuildConfig


class Pool(NamedTuple):
    """The usable assets of one modality, each with cluster, split and vector; and what was dropped on the way."""

    kept: Any
    excluded: list[Any]
    failed: list[Any]


class _Dropped:
    """Gathers what the stages of one pool drop."""

    def __init__(self) -> None:
        self.excluded: list[Any] = []
        self.failed: list[Any] = []

    def kept_of(self, rows: dict[str, Any]) -> Any:
        """What a stage keeps; the rest is remembered."""
        self.excluded += [rows["excluded"]] if "excluded" in rows else []
        self.failed += [rows["failed"]] if "failed" in rows else []
        return rows["kept"]


def image_pool(pipeline: Any, config: BuildConfig, kit: Kit) -> Pool:
    """Images of all sources; known ones are quarantined before any model or foreign server sees them."""
    dropped = _Dropped()
    parts = [_ingested_images(pipeline, config, kit, number, dropped) for number in range(len(kit.images))]
    images = _together(parts, "AllImages")
    if kit.known_images:
        quarantine = Quarantine(kit.known_images, tally=kit.tally("quarantine"))
        images = dropped.kept_of(images | "Quarantine" >> quarantine)
    screen = Screen(
        config.screen, "image", kit.image_members, workspace=kit.workspace, tally=kit.tally("screen images")
    )
    images = dropped.kept_of(images | "ScreenImages" >> screen)
    dedupe = Dedupe(
        config.dedupe, config.build.seed, "image", run_dir=kit.run_dir, tally=kit.tally("dedupe images")
    )
    images, copies = images | "DedupeImages" >> dedupe
    embed = Embed(kit.image_embedder, "image", kit.workspace, kit.tally("embed images"))
    images = dropped.kept_of(images | "EmbedImages" >> embed)
    kept = images | "KeepImages" >> Keep(kit.run_dir)
    return Pool(kept, [*dropped.excluded, copies], dropped.failed)


def text_pool(pipeline: Any, config: BuildConfig, kit: Kit) -> Pool:
    """Texts of all sources, without those that hold somebody's personal data."""
    dropped = _Dropped()
    parts = [_ingested_texts(pipeline, config, kit, number, dropped) for number in range(len(kit.texts))]
    texts = _together(parts, "AllTexts")
    if config.screen.personal_data:
        personal = Personal(config.screen.regions, tally=kit.tally("personal data"))
        texts = dropped.kept_of(texts | "PersonalData" >> personal)
    screen = Screen(
        config.screen, "text", kit.text_members, workspace=kit.workspace, tally=kit.tally("screen texts")
    )
    texts = dropped.kept_of(texts | "ScreenTexts" >> screen)
    dedupe = Dedupe(
        config.dedupe, config.build.seed, "text", run_dir=kit.run_dir, tally=kit.tally("dedupe texts")
    )
    texts, copies = texts | "DedupeTexts" >> dedupe
    embed = Embed(kit.text_embedder, "text", kit.workspace, kit.tally("embed texts"))
    texts = dropped.kept_of(texts | "EmbedTexts" >> embed)
    kept = texts | "KeepTexts" >> Keep(kit.run_dir)
    return Pool(kept, [*dropped.excluded, copies], dropped.failed)


def _together(parts: list[Any], name: str) -> Any:
    """One collection of several; what is one already is left alone, since engines hold what they flatten."""
    return parts[0] if len(parts) == 1 else parts | name >> beam.Flatten()


def _ingested_images(pipeline: Any, config: BuildConfig, kit: Kit, number: int, dropped: _Dropped) -> Any:
    source, tally = kit.images[number], kit.tally("ingest images")
    if isinstance(source, ImageMaker):
        prompts = list(diffusion.prompts_of(_queries(kit, "image_query"), source.generator.per_query))
        make = Generate("image", prompts, source, workspace=kit.workspace, tally=tally)
        rows = dropped.kept_of(pipeline | f"GenerateImages{number}" >> make)
        source = DrawnImages(kit.workspace)
    else:
        in_part = part_of if isinstance(source, StreamedImages) else None
        read = ReadRows(source, kit.image_limit, tally, in_part)
        rows = dropped.kept_of(pipeline | f"ReadImages{number}" >> read)
    ingest = IngestImages(
        config.ingest, source, workspace=kit.workspace, tally=tally, processes=kit.processes
    )
    return dropped.kept_of(rows | f"IngestImages{number}" >> ingest)


def _ingested_texts(pipeline: Any, config: BuildConfig, kit: Kit, number: int, dropped: _Dropped) -> Any:
    source, tally = kit.texts[number], kit.tally("ingest texts")
    if isinstance(source, TextMaker):
        prompts = language.prompts_of(sorted(_queries(kit, "text_query")), source.generator.per_query)
        make = Generate("text", prompts, source, workspace=kit.workspace, tally=tally)
        rows = dropped.kept_of(pipeline | f"GenerateTexts{number}" >> make)
    else:
        rows = dropped.kept_of(pipeline | f"ReadTexts{number}" >> ReadRows(source, kit.text_limit, tally))
    return dropped.kept_of(rows | f"IngestTexts{number}" >> IngestTexts(config.ingest, tally=tally))


def _queries(kit: Kit, name: str) -> set[str]:
    """What the scenarios look for; they were read by `load_scenarios`, which refuses closed hazards."""
    return {getattr(scenario, name) for scenario in kit.scenarios}
