"""Rewards as the callables that TRL's GRPOTrainer takes."""

from __future__ import annotations

from collections.abc import Mapping
from math import isfinite
from typing import TYPE_CHECKING, Any

from pipelines.training.rewards.batch import Batch, Log, Reward, Scores
from pipelines.training.rewards.gate import Gate

if TYPE_CHECKING:
    from transformers.trainer_callback import TrainerState


class RewardFunction:
    """One reward under its name, which TRL logs as `rewards/NAME/mean` and `/std`."""

    def __init__(self, name: str, reward: Reward, reader: BatchReader) -> None:
        self.__name__ = name
        self.reward = reward
        self._reader = reader

    def __call__(
        self,
        completions: list[Any],
        *,
        trainer_state: TrainerState | None = None,
        log_metric: Log | None = None,
        **columns: Any,
    ) -> Scores:
        """Score completions.

        Args:
            completions: Strings or conversations.
            trainer_state: Where the number of steps is read.
            log_metric: Takes what rewards want to show beside their scores.
            columns: The columns of the dataset, and whatever else TRL gives.

        Raises:
            ValueError: A score is not finite or out of the reward's bounds.
        """
        step = int(trainer_state.global_step) if trainer_state is not None else 0
        scores = self.reward.scores(self._reader.read(completions, columns, step, log_metric))
        low, high = self.reward.bounds
        for score in scores:
            if score is not None and not (isfinite(score) and low - 1e-9 <= score <= high + 1e-9):
                raise ValueError(f"the reward {self.__name__} scored {score}, outside of [{low}, {high}]")
        return scores


class BatchReader:
    """Reads a batch once for all reward functions that share it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self._completions: list[Any] | None = None
        self._batch: Batch | None = None

    def read(
        self, completions: list[Any], columns: Mapping[str, list[Any]], step: int, log: Log | None
    ) -> Batch:
        """The batch of a list of completions; the list is held, so that another one is never taken for it."""
        if self._batch is None or completions is not self._completions:
            self._batch = Batch.of(completions, columns, self._gate, step, log)
            self._completions = completions
            if log is not None:
                admitted = sum(row.answer is not None for row in self._batch.rows)
                log("gate/admitted", admitted / max(1, len(self._batch.rows)))
        return self._batch


def reward_functions(rewards: Mapping[str, Reward], gate: Gate | None = None) -> list[RewardFunction]:
    """The rewards as TRL takes them (`reward_funcs`), in their order, reading every batch once."""
    reader = BatchReader(gate or Gate())
    return [RewardFunction(name, reward, reader) for name, reward in rewards.items()]
