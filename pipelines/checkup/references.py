"""The models and servers that a profile names, each under its key in the profile, and what is known of hub models."""

from __future__ import annotations

import tomllib
from collections.abc import Iterator
from functools import lru_cache
from importlib.resources import files
from typing import Literal, NamedTuple

from generators.weights import is_local
from schemas.config import BuildConfig, Diffusion, Endpoint, Model

Loader = Literal["open_clip", "classifier", "judge", "language", "diffusers"]
"""Which of our loaders reads the model."""


class ModelUse(NamedTuple):
    """A model of a profile."""

    key: str
    """Where it stands in the profile, as in `judge.model`."""
    loader: Loader
    settings: Model | Diffusion
    used: bool
    """Whether the build that the profile describes loads it."""
    labels: tuple[str, ...] = ()
    """Of a classifier: what the profile calls harmful."""

    @property
    def on_hub(self) -> bool:
        """Whether it is fetched from the hub."""
        return not is_local(self.settings.path)

    @property
    def shown(self) -> str:
        """The path, and the start of a hub model's revision."""
        at = f"@{self.settings.revision[:12]}" if self.on_hub and self.settings.revision else ""
        return f"{self.settings.path}{at}"


class EndpointUse(NamedTuple):
    """A served model of a profile."""

    key: str
    settings: Endpoint
    judges: bool


class HubFacts(NamedTuple):
    """What `pipelines/models/hub.toml` says of a model."""

    what: str
    licence: str
    parameters: float
    """Billions."""
    download: float
    """GB."""
    gated: bool
    source: str
    """Where the figures come from."""


@lru_cache(maxsize=1)
def hub_facts() -> dict[str, HubFacts]:
    """Hub id to what is known of the model."""
    content = files("pipelines.models").joinpath("hub.toml").read_text(encoding="utf-8")
    return {path: HubFacts(**entry) for path, entry in tomllib.loads(content).items()}


def models_of(config: BuildConfig) -> list[ModelUse]:
    """Every model that a profile names, also those of sections that this build does not use."""
    return list(_models(config))


def _models(config: BuildConfig) -> Iterator[ModelUse]:
    screen, judge = config.screen, config.judge
    yield ModelUse("embed.model", "open_clip", config.embed.model, True)
    yield ModelUse(
        "screen.image_classifier", "classifier", screen.image_classifier, True, labels=screen.image_labels
    )
    yield ModelUse(
        "screen.text_classifier", "classifier", screen.text_classifier, True, labels=screen.text_labels
    )
    if screen.zero_shot:
        yield ModelUse("screen.zero_shot", "open_clip", screen.zero_shot, True)
    yield ModelUse("judge.model", "judge", judge.model, judge.endpoint is None)
    if config.images.diffusion:
        drawn = "diffusion" in config.images.source
        yield ModelUse("images.diffusion", "diffusers", config.images.diffusion, drawn)
    if config.texts.language and config.texts.language.model:
        written = "language" in config.texts.source
        yield ModelUse("texts.language.model", "language", config.texts.language.model, written)


def endpoints_of(config: BuildConfig) -> list[EndpointUse]:
    """The servers that a build asks."""
    language = config.texts.language
    uses = []
    if "language" in config.texts.source and language and language.endpoint:
        uses.append(EndpointUse("texts.language.endpoint", language.endpoint, judges=False))
    if config.judge.endpoint:
        uses.append(EndpointUse("judge.endpoint", config.judge.endpoint, judges=True))
    return uses
