"""Direct preference optimisation of a vision-language model by TRL's DPOTrainer, and the margins that it changes."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Any

import datasets

from pipelines.training.configuration import Dpo
from pipelines.training.policy import has_adapters


def dpo_trainer(
    model: Any,
    processor: Any,
    rows: datasets.Dataset,
    settings: Dpo,
    arguments: Mapping[str, Any],
    *,
    adapter: Any = None,
) -> Any:
    """TRL's trainer, ready to run; what of the model does not require gradients stays as it is.

    The reference is the model as it is given: a copy, or with adapters the model with those that it came with.

    Args:
        model: A model for image-text-to-text, in memory.
        processor: Its processor.
        rows: `Preferences.rows`.
        settings: DPO's own.
        arguments: Everything else that a configuration of TRL takes, such as `output_dir` and `learning_rate`.
        adapter: peft's configuration of the adapters to train; None trains the model's own weights.

    Raises:
        ValueError: There are no rows.
    """
    from trl.trainer.dpo_config import DPOConfig
    from trl.trainer.dpo_trainer import DPOTrainer

    if not len(rows):
        raise ValueError("there are no preference pairs to learn from")
    losses: list[tuple[str, float]] = [("sigmoid", 1.0)]
    losses += [("sft", settings.supervised)] if settings.supervised else []
    return DPOTrainer(
        model=model,
        ref_model=None if adapter is not None or has_adapters(model) else _reference(model),
        processing_class=processor,
        train_dataset=as_strings(rows, processor),
        peft_config=adapter,
        args=DPOConfig(
            **{"num_train_epochs": settings.epochs, **arguments},
            beta=settings.beta,
            loss_type=[name for name, _ in losses],
            loss_weights=[weight for _, weight in losses],
            # A sequence that is cut loses place holders of its picture, or the answer.
            max_length=None,
        ),
    )


def _reference(model: Any) -> Any:
    return copy.deepcopy(model).requires_grad_(False)


def as_strings(rows: datasets.Dataset, processor: Any) -> datasets.Dataset:
    """Rows with the prompt in the model's chat template, up to where it answers, and completions that end.

    TRL would render a conversation with its answer at once, and so leave out what a template puts before an answer
    that is yet to come, unless it puts the same before one that is there.
    """
    end = processor.tokenizer.eos_token
    prompts = [
        processor.apply_chat_template(_plain(one), add_generation_prompt=True) for one in rows["prompt"]
    ]
    said = {
        "prompt": prompts,
        "chosen": [f"{one}{end}" for one in rows["chosen"]],
        "rejected": [f"{one}{end}" for one in rows["rejected"]],
    }
    return datasets.concatenate_datasets(
        [rows.remove_columns(list(said)), datasets.Dataset.from_dict(said)], axis=1
    )


def _plain(conversation: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Without the empty fields that Arrow gives to the parts of a message."""
    return [
        {**turn, "content": [{k: v for k, v in part.items() if v is not None} for part in turn["content"]]}
        for turn in conversation
    ]
