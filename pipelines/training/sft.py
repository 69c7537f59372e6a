"""Supervised fine-tuning on reasoning chains, by TRL's SFTTrainer."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import datasets

from pipelines.training.arguments import adapter_of, common_arguments
from pipelines.training.batches import repeated_order
from pipelines.training.chains import can_teach, lesson_of
from pipelines.training.concatenation import joined_rows
from pipelines.training.configuration import TrainConfig
from pipelines.training.policy import Policy
from pipelines.training.run_folder import RunFolder


def lessons(examples: datasets.Dataset, config: TrainConfig) -> datasets.Dataset:
    """The rows to learn from, in the order of training, all epochs after each other.

    Columns `prompt`, `completion` and `image`. Harmful pairs without a rationale are left out.

    Raises:
        ValueError: Nothing is left to learn from.
    """
    settings = config.sft
    kept = examples.filter(can_teach)
    if not len(kept):
        raise ValueError(
            "no pair of the dataset can be learned from: none has a rationale, and none is benign"
        )
    if settings.concatenation:
        joined = joined_rows(kept, round(len(kept) * settings.concatenation), settings.seed)
        kept = datasets.concatenate_datasets([kept, joined])
    fields = kept.remove_columns("image")
    taught = datasets.Dataset.from_list([lesson_of(row) for row in fields])
    groups = fields["contrast_group"] if settings.contrast_batches else [""] * len(kept)
    batch = settings.batch_size * settings.accumulation
    order = repeated_order(groups, batch, settings.seed, round(len(kept) * settings.epochs))
    return datasets.concatenate_datasets([kept.select_columns("image"), taught], axis=1).select(order)


def sft_trainer(policy: Policy, rows: datasets.Dataset, config: TrainConfig, run: RunFolder) -> Any:
    """TRL's trainer, ready to run once over the rows, which are in the order of training."""
    from trl import SFTConfig, SFTTrainer

    arguments: Mapping[str, Any] = common_arguments(config.sft, config.policy, run)
    return SFTTrainer(
        model=policy.model,
        processing_class=policy.processor,
        train_dataset=rows,
        peft_config=adapter_of(config.policy),
        args=SFTConfig(
            **arguments,
            num_train_epochs=1,
            max_length=None,
            train_sampling_strategy="sequential",
            shuffle_dataset=False,
        ),
    )
