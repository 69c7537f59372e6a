"""The trainer's class for a set of mechanisms: each one switched on adds its class, and none is plain GRPO."""

from __future__ import annotations

from typing import Any

from trl.trainer.grpo_trainer import GRPOTrainer

from pipelines.training.mechanisms.clipping import ScheduledClipping
from pipelines.training.mechanisms.dependence import DependenceWeights
from pipelines.training.mechanisms.emphasis import VerdictEmphasis
from pipelines.training.mechanisms.perception import PerceptionLoss
from pipelines.training.mechanisms.settings import Mechanisms
from pipelines.training.mechanisms.uncertainty import UncertaintyBonus

CLASSES: dict[str, type[GRPOTrainer]] = {
    "clipping": ScheduledClipping,
    "perception": PerceptionLoss,
    "dependence": DependenceWeights,
    "emphasis": VerdictEmphasis,
    "uncertainty": UncertaintyBonus,
}
"""Outermost first: the weights of the tokens multiply advantages that have their bonus already."""


def trainer_class(mechanisms: Mechanisms) -> type[GRPOTrainer]:
    """The class to train with: TRL's `GRPOTrainer`, or a subclass with every mechanism that is switched on.

    `counterfactuals` and `mixture` change the training set and not the trainer.
    """
    settings: dict[str, Any] = {name: getattr(mechanisms, name) for name in CLASSES}
    chosen = {name: value for name, value in settings.items() if value is not None}
    if not chosen:
        return GRPOTrainer
    bases = tuple(CLASSES[name] for name in chosen)
    return type("MechanismsTrainer", bases, {f"{name}_settings": value for name, value in chosen.items()})
