"""What a build works with: sources, scenarios, models, workspace; all checked before anything runs."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any, NamedTuple

from generators.corpora import ImageSource, Source, open_images, open_texts
from generators.diffusion import DiffusionGenerator
from generators.language import LanguageGenerator
from generators.scenarios import load_scenarios
from generators.tinyworld.source import Scenes, Utterances
from pipelines.calibration import Scaling
from pipelines.engine import Engine
from pipelines.models.clip import ImageEmbedder, TextEmbedder
from pipelines.models.generation import ImageMaker, TextMaker
from pipelines.models.judge import Judge, Rationaliser
from pipelines.models.screening import ImageScreener, TextScreener
from pipelines.models.served_judge import ServedJudge, ServedRationaliser
from pipelines.models.zero_shot import Concepts, ZeroShotScreener
from pipelines.progress import Tally
from pipelines.stages.hashlist import HashList
from pipelines.stages.layout import check_fonts
from pipelines.stages.screen import Member
from pipelines.storage.workspace import Workspace
from schemas.config import TINYWORLD, BuildConfig, Model, Screen
from schemas.config import Judge as Judging
from schemas.policy import load_policy
from schemas.records import Scenario


class Kit(NamedTuple):
    """The parts of one build."""

    out: Path
    run_id: str
    workspace: Workspace
    images: tuple[ImageSource | ImageMaker, ...]
    texts: tuple[Source | TextMaker, ...]
    image_limit: int
    text_limit: int
    scenarios: tuple[Scenario, ...]
    image_members: tuple[Member, ...]
    text_members: tuple[Member, ...]
    known_images: HashList | None
    image_embedder: ImageEmbedder
    text_embedder: TextEmbedder
    judge: Judge | ServedJudge
    rationaliser: Rationaliser | ServedRationaliser
    threads: int
    processes: int
    """What one worker may use at once."""

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
            "embed images": self.image_embedder,
            "embed texts": self.text_embedder,
            "judge": self.judge,
            "rationale": self.rationaliser,
        }
        for part, sources in (("generate images", self.images), ("generate texts", self.texts)):
            for source in sources:
                if isinstance(source, ImageMaker | TextMaker):
                    handlers[part] = source
        screening = {"screen images": self.image_members, "screen texts": self.text_members}
        for part, members in screening.items():
            handlers |= {f"{part}: {member.name}": member.handler for member in members if not member.asked}
        return {name: handler.fingerprint() for name, handler in handlers.items()}


def make_kit(config: BuildConfig, out: Path, workspace: Workspace, run_id: str, engine: Engine) -> Kit:
    """Open the sources, read the scenarios and find the models.

    Raises:
        SourceError: A source is missing or of an unsupported kind.
        ScenarioError: The scenarios cannot be used.
        ClosedHazardError: A scenario asks for a closed hazard.
        ModelMissingError: A model's folder is not there.
        PolicyError: The judge's policy cannot be used.
        ValueError: A font file cannot be used.
    """
    check_fonts(config.compose.fonts)
    threads = engine.cores
    clip = _threaded(config.embed.model, threads)
    judge = make_judge(config, workspace, threads)
    kit = Kit(
        out=out,
        run_id=run_id,
        workspace=workspace,
        images=tuple(_images(config, name, workspace) for name in config.images.source),
        texts=tuple(_texts(config, name) for name in config.texts.source),
        image_limit=config.images.limit or sys.maxsize,
        text_limit=config.texts.limit or sys.maxsize,
        scenarios=load_scenarios(config.scenarios.source),
        image_members=_image_members(config.screen, judge, workspace, threads),
        text_members=_text_members(config.screen, judge, threads),
        known_images=HashList.read(config.screen.hash_list) if config.screen.hash_list else None,
        image_embedder=ImageEmbedder(clip, workspace),
        text_embedder=TextEmbedder(clip),
        judge=judge,
        rationaliser=_rationaliser(config.judge, workspace, threads),
        threads=threads,
        processes=engine.processes,
    )
    kit.fingerprints()
    return kit


def make_judge(config: BuildConfig, workspace: Workspace, threads: int = 0) -> Judge | ServedJudge:
    """The judge of a profile.

    Raises:
        ModelMissingError: Its folder is not there.
        PolicyError: Its policy cannot be used.
    """
    policy = load_policy(config.judge.policy)
    scaling = Scaling(config.judge.temperature, config.judge.offset)
    if config.judge.endpoint:
        return ServedJudge(config.judge.endpoint, policy, workspace, scaling)
    return Judge(_threaded(config.judge.model, threads), policy, workspace, scaling)


def _rationaliser(config: Judging, workspace: Workspace, threads: int) -> Rationaliser | ServedRationaliser:
    policy = load_policy(config.policy)
    if config.endpoint:
        return ServedRationaliser(config.endpoint, policy, workspace)
    # Writing is bound by steps, not by arithmetic as judging is, so it wants larger batches.
    writer = config.model.model_copy(update={"batch_size": config.rationale_batch})
    return Rationaliser(_threaded(writer, threads), policy, workspace)


def _image_members(
    screen: Screen, judge: Judge | ServedJudge, workspace: Workspace, threads: int
) -> tuple[Member, ...]:
    classifier = ImageScreener(_threaded(screen.image_classifier, threads), screen.image_labels, workspace)
    members = [Member(classifier.name, classifier, screen.classifier_threshold)]
    if screen.zero_shot:
        concepts = Concepts.read(Path(screen.concepts)) if screen.concepts else None
        zero_shot = ZeroShotScreener(_threaded(screen.zero_shot, threads), workspace, concepts)
        members.append(Member(zero_shot.name, zero_shot, screen.zero_shot_threshold))
    return (*members, _judging_member(screen, judge))


def _text_members(screen: Screen, judge: Judge | ServedJudge, threads: int) -> tuple[Member, ...]:
    classifier = TextScreener(_threaded(screen.text_classifier, threads), screen.text_labels)
    return Member(classifier.name, classifier, screen.classifier_threshold), _judging_member(screen, judge)


def _judging_member(screen: Screen, judge: Judge | ServedJudge) -> Member:
    return Member("judge", judge, screen.judge_threshold, judge.scaling, asked=True)


def _images(config: BuildConfig, source: str, workspace: Workspace) -> ImageSource | ImageMaker:
    pool = config.images
    if source == TINYWORLD:
        return Scenes(pool.count, pool.plainly_harmful, config.build.seed)
    if source == "diffusion" and pool.diffusion:
        return ImageMaker(DiffusionGenerator(pool.diffusion), workspace)
    return open_images(source)


def _texts(config: BuildConfig, source: str) -> Source | TextMaker:
    pool = config.texts
    if source == TINYWORLD:
        return Utterances(pool.count, pool.plainly_harmful, config.build.seed)
    if source == "language" and pool.language:
        return TextMaker(LanguageGenerator(pool.language))
    return open_texts(source, pool.column)


def _threaded(model: Model, threads: int) -> Model:
    return model.model_copy(update={"threads": model.threads or threads})
