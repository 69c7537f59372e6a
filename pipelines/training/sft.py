"""Supervised fine-tuning on reasoning chains, by TRL's SFTTrainer with more weight on what decides the verdict."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import datasets

from pipelines.training.arguments import adapter_of, common_arguments
from pipelines.training.batches import chosen_rows, repeated_order
from pipelines.training.chains import can_teach, lesson_of
from pipelines.training.concatenation import joined_rows
from pipelines.training.configuration import Sft, TrainConfig
from pipelines.training.evaluation.answering import Answerer, Question
from pipelines.training.policy import Policy
from pipelines.training.run_folder import RunFolder

READING_TOKENS = 96
"""The most that a model may say of a pair before it is asked to judge."""
Track = Callable[[Iterable[Any], str, int], Iterable[Any]]


def lessons(
    examples: datasets.Dataset, config: TrainConfig, policy: Policy, track: Track
) -> datasets.Dataset:
    """The rows to learn from, in the order of training, all epochs after each other.

    Columns `prompt`, `completion` and `image`. Harmful pairs without a rationale are left out, and so is what is not
    of the share that the settings ask for.

    Raises:
        ValueError: Nothing is left to learn from.
    """
    settings = config.sft
    kept = examples.filter(can_teach)
    kept = kept.select(chosen_rows(kept["contrast_group"], kept["id"], settings.share))
    if not len(kept):
        raise ValueError(
            "no pair of the dataset can be learned from: none has a rationale, and none is benign"
        )
    if settings.concatenation:
        joined = joined_rows(kept, round(len(kept) * settings.concatenation), settings.seed)
        kept = datasets.concatenate_datasets([kept, joined])
    fields = kept.remove_columns("image")
    readings = _readings(kept, policy, settings, track) if settings.readings else [""] * len(kept)
    chains = [lesson_of(row, reading) for row, reading in zip(fields, readings, strict=True)]
    taught = datasets.Dataset.from_list(chains)
    groups = fields["contrast_group"] if settings.contrast_batches else [""] * len(kept)
    batch = settings.batch_size * settings.accumulation
    order = repeated_order(groups, batch, settings.seed, max(1, round(len(kept) * settings.epochs)))
    return datasets.concatenate_datasets([kept.select_columns("image"), taught], axis=1).select(order)


def _readings(rows: datasets.Dataset, policy: Policy, settings: Sft, track: Track) -> list[str]:
    """What the model says of every row before it is trained."""
    answerer = Answerer(policy.model.eval(), policy.processor, READING_TOKENS)
    starts = range(0, len(rows), settings.batch_size)
    said: list[str] = []
    for start in track(starts, "reading", len(starts)):
        part = rows[start : start + settings.batch_size]
        said += answerer.read([Question(*pair) for pair in zip(part["text"], part["image"], strict=True)])
    return said


def sft_trainer(policy: Policy, rows: datasets.Dataset, config: TrainConfig, run: RunFolder) -> Any:
    """TRL's trainer, ready to run once over the rows, which are in the order of training."""
    from trl import SFTConfig

    from pipelines.training.emphasis import EmphasisTrainer

    arguments: Mapping[str, Any] = common_arguments(config.sft, config.policy, run)
    return EmphasisTrainer(
        verdict_weight=config.sft.verdict_weight,
        verdict_certainty=config.sft.verdict_certainty,
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
