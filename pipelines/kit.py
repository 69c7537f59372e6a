"""What a build works with: sources, scenarios, models, workspace; all checked before anything runs."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any, NamedTuple

from generators.corpora import ImageSource, Source, open_images, open_texts
from generators.scenarios import load_scenarios
from generators.tinyworld.source import Scenes, Utterances
from pipelines.engine import Engine
from pipelines.models.clip import ImageEmbedder, TextEmbedder
from pipelines.models.judge import Judge, Rationaliser
from pipelines.models.screening import ImageScreener, TextScreener
from pipelines.progress import Tally
from pipelines.storage.workspace import Workspace
from schemas.config import BUILTIN, BuildConfig, Model
from schemas.policy import load_policy
from schemas.records import Scenario

TINYWORLD = "tinyworld"


class Kit(NamedTuple):
    """The parts of one build."""

    out: Path
    run_id: str
    workspace: Workspace
    images: ImageSource
    texts: Source
    image_limit: int
    text_limit: int
    scenarios: tuple[Scenario, ...]
    image_screener: ImageScreener
    text_screener: TextScreener
    image_embedder: ImageEmbedder
    text_embedder: TextEmbedder
    judge: Judge
    rationaliser: Rationaliser

    @property
    def run_dir(self) -> str:
        """The run's folder, which exists while the build runs."""
        return str(self.workspace.run_dir(self.run_id))

    def tally(self, stage: str) -> Tally:
        """The counter of a stage."""
        return Tally(self.run_dir, stage)

    def fingerprints(self) -> dict[str, str]:
        """The fingerprint of every model, by its part in the build."""
        handlers: dict[str, Any] = {
            "screen images": self.image_screener,
            "screen texts": self.text_screener,
            "embed images": self.image_embedder,
            "embed texts": self.text_embedder,
            "judge": self.judge,
            "rationale": self.rationaliser,
        }
        return {name: handler.fingerprint() for name, handler in handlers.items()}


def make_kit(config: BuildConfig, out: Path, workspace: Workspace, run_id: str, engine: Engine) -> Kit:
    """Open the sources, read the scenarios and find the models.

    Raises:
        SourceError: A source is missing or of an unsupported kind.
        ScenarioError: The scenarios cannot be used.
        ClosedHazardError: A scenario asks for a closed hazard.
        ModelMissingError: A model's folder is not there.
        PolicyError: The judge's policy cannot be used.
    """
    threads = max(1, (os.cpu_count() or 1) // engine.workers)
    clip, judge = _threaded(config.embed.model, threads), _threaded(config.judge.model, threads)
    policy = load_policy(config.judge.policy)
    screen_image = _threaded(config.screen.image_classifier, threads)
    screen_text = _threaded(config.screen.text_classifier, threads)
    kit = Kit(
        out=out,
        run_id=run_id,
        workspace=workspace,
        images=_images(config),
        texts=_texts(config),
        image_limit=config.images.limit or sys.maxsize,
        text_limit=config.texts.limit or sys.maxsize,
        scenarios=load_scenarios(config.scenarios.source),
        image_screener=ImageScreener(screen_image, config.screen.harmful_labels, workspace),
        text_screener=TextScreener(screen_text, config.screen.harmful_labels),
        image_embedder=ImageEmbedder(clip, workspace),
        text_embedder=TextEmbedder(clip),
        judge=Judge(judge, policy, workspace),
        rationaliser=Rationaliser(judge, policy, workspace),
    )
    kit.fingerprints()
    return kit


def notices(config: BuildConfig) -> list[str]:
    """What a reader of the dataset must know first."""
    models = (
        config.judge.model,
        config.embed.model,
        config.screen.image_classifier,
        config.screen.text_classifier,
    )
    foreign = {config.images.source, config.texts.source} != {TINYWORLD}
    if foreign and any(model.path.startswith(f"{BUILTIN}{TINYWORLD}") for model in models):
        return [
            "The models of this profile know the pictograms and sentences of tinyworld and nothing else. "
            "On other images and texts their judgements, scores and rationales mean nothing: "
            "this build shows that the pipeline runs on your data, not what is in it."
        ]
    if not foreign:
        return [
            "Tinyworld is a closed world of pictograms and sentences, made to demonstrate and to test the "
            "pipeline. It is no training data for moderation of real content."
        ]
    return []


def _images(config: BuildConfig) -> ImageSource:
    pool = config.images
    if pool.source == TINYWORLD:
        return Scenes(pool.count, pool.plainly_harmful, config.build.seed)
    return open_images(pool.source)


def _texts(config: BuildConfig) -> Source:
    pool = config.texts
    if pool.source == TINYWORLD:
        return Utterances(pool.count, pool.plainly_harmful, config.build.seed)
    return open_texts(pool.source, pool.column)


def _threaded(model: Model, threads: int) -> Model:
    return model.model_copy(update={"threads": model.threads or threads})
