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
from schemas.reasoning import HARMFUL

READING_TOKENS = 96
"""The most that a model may say of a pair before it is asked to judge."""
Track = Callable[[Iterable[Any], str, int], Iterable[Any]]


def lessons(
    examples: datasets.Dataset, config: TrainConfig, policy: Policy, track: Track, say: Callable[[str], None]
) -> datasets.Dataset:
    """The rows to learn from, in the order of training, all epochs after each other.

    Columns `prompt`, `completion` and `image`. Harmful pairs without a rationale are left out with their contrast
    partners, and so is what is not of the share that the settings ask for.

    Args:
        examples: As of `load_examples`.
        config: Of the training.
        policy: What is to be trained; it reads the pairs first, if the settings ask for that.
        track: Shows progress.
        say: Told what is left out.

    Raises:
        ValueError: No harmful pair is left to learn from.
    """
    settings = config.sft
    kept = _teachable(examples, say)
    kept = kept.select(chosen_rows(kept["contrast_group"], kept["id"], settings.share))
    if HARMFUL not in set(kept["verdict"]):
        raise ValueError("no harmful pair with a rationale is left to learn from")
    if settings.concatenation:
        wanted = round(len(kept) * settings.concatenation)
        joined = joined_rows(kept, wanted, settings.seed)
        if len(joined) < wanted:
            say(f"{len(joined):,} of {wanted:,} joined rows could be made: benign pairs seldom share a text")
        kept = datasets.concatenate_datasets([kept, joined])
    fields = kept.remove_columns("image")
    readings = _readings(kept, policy, settings, track) if settings.readings else [""] * len(kept)
    chains = [lesson_of(row, reading) for row, reading in zip(fields, readings, strict=True)]
    taught = datasets.Dataset.from_list(chains)
    groups = fields["contrast_group"] if settings.contrast_batches else [""] * len(kept)
    batch = settings.batch_size * settings.accumulation
    order = repeated_order(groups, batch, settings.seed, max(1, round(len(kept) * settings.epochs)))
    return datasets.concatenate_datasets([kept.select_columns("image"), taught], axis=1).select(order)


def _teachable(examples: datasets.Dataset, say: Callable[[str], None]) -> datasets.Dataset:
    """The rows that a chain can be made of, without those whose set would lack its harm."""
    fields = examples.remove_columns("image")
    mute = [row for row in fields if not can_teach(row)]
    sets = {row["contrast_group"] for row in mute} - {""}
    ids = {row["id"] for row in mute}
    kept = [n for n, row in enumerate(fields) if row["id"] not in ids and row["contrast_group"] not in sets]
    if mute:
        partners = len(examples) - len(kept) - len(mute)
        say(
            f"left out: {len(mute):,} harmful pairs without a rationale, and {partners:,} of their contrast partners"
        )
    return examples.select(kept)


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
        peft_config=adapter_of(config.policy, policy.model),
        args=SFTConfig(
            **arguments,
            num_train_epochs=1,
            max_length=None,
            train_sampling_strategy="sequential",
            shuffle_dataset=False,
        ),
    )
