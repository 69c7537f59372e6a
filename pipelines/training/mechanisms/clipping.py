"""The clip range of GRPO, shrinking during the run: first free exploration, then small careful steps."""

from __future__ import annotations

import math
from typing import Any, ClassVar

from transformers import TrainerCallback, TrainerControl, TrainerState, TrainingArguments
from trl.trainer.grpo_trainer import GRPOTrainer

from pipelines.training.mechanisms.settings import Clipping

CLIPPED_LOSSES = ("grpo", "bnpo", "dr_grpo", "dapo", "luspo")
"""Types of loss that clip the probability ratio to 1 - epsilon ... 1 + epsilon."""


def clip_range(epsilon: float, step: int, steps: int, schedule: str) -> float:
    """The clip range after `step` of `steps` steps (GuardReasoner-VL, arXiv 2505.11049).

    `linear` is epsilon * (S - s) / S. `product` is the paper's formula taken literally, epsilon times the product
    over i = 1..s of (S - i) / S, which falls like exp(-s^2 / 2S). Both start at epsilon and end at 0.

    Raises:
        ValueError: The step is not in 0..steps, or there is no such schedule.
    """
    if not 0 <= step <= steps or steps == 0:
        raise ValueError(f"step {step} is not one of the {steps} steps of a run")
    if schedule == "linear":
        return epsilon * (steps - step) / steps
    if schedule == "product":
        return epsilon * math.prod((steps - i) / steps for i in range(1, step + 1))
    raise ValueError(f"no schedule {schedule!r}: there are linear and product")


class ClipSchedule(TrainerCallback):
    """Sets the trainer's clip range before every step, from the step's number alone, so a resumed run goes on right.

    Raises:
        ValueError: The trainer's type of loss does not clip the ratio.
    """

    def __init__(self, trainer: GRPOTrainer, settings: Clipping) -> None:
        if trainer.loss_type not in CLIPPED_LOSSES:
            raise ValueError(
                f"the loss {trainer.loss_type!r} has no clip range; the schedule needs one of {CLIPPED_LOSSES}"
            )
        self._trainer, self._settings = trainer, settings
        self._low, self._high = trainer.epsilon_low, trainer.epsilon_high

    def on_step_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Set both ends of the range and log the upper one."""
        at = state.global_step, state.max_steps, self._settings.schedule
        self._trainer.epsilon_low = clip_range(self._low, *at)
        self._trainer.epsilon_high = clip_range(self._high, *at)
        self._trainer._metrics["train"]["clipping/epsilon_high"].append(self._trainer.epsilon_high)


class ScheduledClipping(GRPOTrainer):
    """A `GRPOTrainer` with a `ClipSchedule`."""

    clipping_settings: ClassVar[Clipping] = Clipping()

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self.add_callback(ClipSchedule(self, self.clipping_settings))
