"""All rewards by name, so that a profile can switch each on by giving it a weight."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from pipelines.training.embedders import Embedder
from pipelines.training.rewards.answer_form import Format
from pipelines.training.rewards.batch import Reward
from pipelines.training.rewards.combination import LogSigmoid, Part
from pipelines.training.rewards.consistency import Likelihood, Reanswer
from pipelines.training.rewards.contrast import Contrast
from pipelines.training.rewards.cost import Cost, Multiplier
from pipelines.training.rewards.entropy import DecisionEntropy
from pipelines.training.rewards.facts import FactHits
from pipelines.training.rewards.grounding import Grounding
from pipelines.training.rewards.hazard import Hazard
from pipelines.training.rewards.hybrid import Hybrid
from pipelines.training.rewards.length import LengthPenalty
from pipelines.training.rewards.rationale import Rationale
from pipelines.training.rewards.safety import LengthAwareSafety
from pipelines.training.rewards.thinkers import GroundedThinking, ThinkingScorer
from pipelines.training.rewards.thinking import Thinking
from pipelines.training.rewards.verdict import Verdict
from pipelines.training.rewards.verdicts import VerdictModel


@dataclass(frozen=True)
class Resources:
    """The models that some rewards need; those that no chosen reward needs may be left out."""

    embedder: Embedder | None = None
    reference: VerdictModel | None = None
    """A frozen copy of the policy."""
    policy: VerdictModel | None = None
    """The model in training."""
    thinking: ThinkingScorer = field(default_factory=GroundedThinking)
    multiplier: Multiplier = field(default_factory=Multiplier)
    """Moved between steps by `ascent.MultiplierAscent`."""

    @property
    def all(self) -> Resources:
        """Themselves, for a reward that is made of others."""
        return self


class Entry(NamedTuple):
    """A reward that there is."""

    meaning: str
    source: str
    """Where it is from; empty where it is ours."""
    make: Callable[..., Reward]
    needs: tuple[str, ...] = ()
    """Fields of `Resources`, which `make` takes in this order before the reward's own parameters by name."""


def _hybrid(embedder: Embedder, chance: float = 0.0) -> Reward:
    return Hybrid(Hazard(), Rationale(embedder, chance))


def _combination(
    resources: Resources, references: Mapping[str, float] | None = None, sharpness: float = 1.0
) -> Reward:
    """Parts by name with their reference scores."""
    chosen = references or {"verdict": 0.5, "grounding": 0.5, "rationale": 0.5}
    parts = tuple(Part(make_reward(name, resources), reference) for name, reference in chosen.items())
    return LogSigmoid(parts, sharpness)


CATALOGUE: dict[str, Entry] = {
    "format": Entry("the completion is an answer that the gate admits", "2505.11049", Format),
    "verdict": Entry("the verdict is right", "2505.11049", Verdict),
    "hazard": Entry("a harmful pair's hazard is right", "", Hazard),
    "rationale": Entry("the rationale means what the nearest reference does", "", Rationale, ("embedder",)),
    "grounding": Entry("the rationale names evidence of both image and text", "", Grounding),
    "contrast": Entry("all members of the contrast set are right", "", Contrast),
    "consistency": Entry(
        "right, and as likely from its reasoning as the group's mean",
        "2506.16141",
        Likelihood,
        ("reference",),
    ),
    "reanswer": Entry(
        "right, and the same again with the options in the other order", "2510.10104", Reanswer, ("policy",)
    ),
    "safety": Entry(
        "wrong verdicts cost less the longer they were reasoned", "2505.11049", LengthAwareSafety
    ),
    "length": Entry("the reasoning is neither too short nor too long", "2510.05283", LengthPenalty),
    "hybrid": Entry(
        "the hazard where it is known, else the rationale's meaning", "2510.05283", _hybrid, ("embedder",)
    ),
    "thinking": Entry(
        "the reasoning is good, as far as the mark can be trusted", "2505.17018", Thinking, ("thinking",)
    ),
    "facts": Entry("the answer states what is in the picture", "2506.07218", FactHits),
    "entropy": Entry(
        "the policy is sure of right verdicts and unsure of wrong ones",
        "2510.08630",
        DecisionEntropy,
        ("policy",),
    ),
    "cost": Entry("missed harm costs what the multiplier says", "2503.17682", Cost, ("multiplier",)),
    "combination": Entry(
        "several rewards, every one of which has to hold", "2402.00742", _combination, ("all",)
    ),
}
"""Every reward by the name that profiles and logs call it; sources are arXiv ids."""


def make_reward(name: str, resources: Resources, **parameters: Any) -> Reward:
    """Build a reward of the catalogue.

    Args:
        name: Its name.
        resources: The models that it may need.
        parameters: Its own parameters, where they are not to be the published ones.

    Raises:
        ValueError: There is no such reward, it lacks a model, or a parameter is unknown or out of its range.
    """
    if name not in CATALOGUE:
        raise ValueError(f"unknown reward {name!r}; known: {', '.join(CATALOGUE)}")
    entry = CATALOGUE[name]
    models = [getattr(resources, need) for need in entry.needs]
    lacking = [need for need, model in zip(entry.needs, models, strict=True) if model is None]
    if lacking:
        raise ValueError(f"the reward {name!r} needs {', '.join(lacking)}")
    try:
        return entry.make(*models, **parameters)
    except TypeError as error:
        raise ValueError(f"the reward {name!r} does not take these parameters: {error}") from error
