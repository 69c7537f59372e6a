"""The trainer's callback that moves the multiplier of the cost between steps."""

from __future__ import annotations

from typing import Any

from transformers.trainer_callback import ExportableState, TrainerCallback, TrainerControl, TrainerState
from transformers.training_args import TrainingArguments

from pipelines.training.rewards.cost import Multiplier


class MultiplierAscent(TrainerCallback, ExportableState):
    """Moves the multiplier after every optimiser step and keeps it in the trainer's checkpoints.

    Leave `restore_callback_states_from_checkpoint` off: it would build a callback without its multiplier, and this one
    finds its value in the checkpoint by itself.
    """

    def __init__(self, multiplier: Multiplier) -> None:
        self._multiplier = multiplier

    def state(self) -> dict[str, Any]:
        """What a checkpoint holds."""
        return {"args": {}, "attributes": {"value": self._multiplier.value}}

    def on_train_begin(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """Go on with the value of the checkpoint that training resumes from."""
        states: Any = state.stateful_callbacks or {}
        saved = states.get(type(self).__name__)
        if saved and state.global_step:
            self._multiplier.value = float(saved["attributes"]["value"])

    def on_step_end(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """One step of dual ascent."""
        self._multiplier.ascend()

    def on_evaluate(
        self, args: TrainingArguments, state: TrainerState, control: TrainerControl, **kwargs: Any
    ) -> None:
        """What evaluation cost moves nothing."""
        self._multiplier.forget()
