"""Real runs of a few GRPO steps on the judge of tinyworld."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
from datasets import Dataset
from transformers import AutoModelForImageTextToText, AutoProcessor
from trl import GRPOConfig, GRPOTrainer

from generators.tinyworld.renderer import render, sample_scene
from pipelines.training.examples import prompt_of
from pipelines.training.mechanisms.settings import Mechanisms
from pipelines.training.mechanisms.trainer import trainer_class

JUDGE = Path("generators/tinyworld/weights/judge")
TEXTS = ("Have a bite, it is fresh.", "Come closer and touch it.")


def length(completions: list[Any], **_: Any) -> list[float]:
    """A reward that differs between the completions of a prompt."""
    return [float(len(completion[0]["content"]) % 7) for completion in completions]


def ranked(completions: list[Any], **_: Any) -> list[float]:
    """A reward that is never equal."""
    return [float(number) for number in range(len(completions))]


def scenes(count: int = 8) -> Dataset:
    """Prompts with pictures."""
    return Dataset.from_dict(
        {
            "prompt": [prompt_of(TEXTS[number % 2]) for number in range(count)],
            "image": [render(sample_scene(number), 64) for number in range(count)],
        }
    )


def trainer(
    folder: Path,
    mechanisms: Mechanisms,
    *,
    model: Path = JUDGE,
    rewards: Any = length,
    examples: Dataset | None = None,
    **options: Any,
) -> GRPOTrainer:
    """A trainer of 3 steps of 4 completions, 2 of each prompt; hot, since the judge is very sure of itself."""
    torch.manual_seed(0)
    processor = AutoProcessor.from_pretrained(model)
    processor.tokenizer.padding_side = "left"
    settings: dict[str, Any] = {
        "output_dir": str(folder),
        "use_cpu": True,
        "bf16": False,
        "report_to": [],
        "disable_tqdm": True,
        "gradient_checkpointing": False,
        "save_strategy": "no",
        "logging_steps": 1,
        "max_steps": 3,
        "learning_rate": 1e-3,
        "per_device_train_batch_size": 4,
        "num_generations": 2,
        "max_completion_length": 8,
        "temperature": 3.0,
        "generation_kwargs": {"min_new_tokens": 6},
    }
    return trainer_class(mechanisms)(
        model=AutoModelForImageTextToText.from_pretrained(model, dtype=torch.float32),
        processing_class=processor,
        args=GRPOConfig(**settings | options),
        train_dataset=examples if examples is not None else scenes(),
        reward_funcs=rewards,
    )


def fresh(made: GRPOTrainer) -> dict[str, Any]:
    """A batch of two completions of each of two prompts, as the first step of training has it."""
    made.model.train()
    return made._generate_and_score_completions([made.train_dataset[number // 2] for number in range(4)])


def logged(trainer: GRPOTrainer, name: str) -> list[float]:
    """What was logged under a name, step by step."""
    return [entry[name] for entry in trainer.state.log_history if name in entry]


def trained(folder: Path, mechanisms: Mechanisms, **options: Any) -> GRPOTrainer:
    """A trainer that has run."""
    made = trainer(folder, mechanisms, **options)
    made.train()
    return made


def weights(trainer: GRPOTrainer) -> torch.Tensor:
    """All parameters in one vector."""
    return torch.cat([parameter.detach().flatten() for parameter in trainer.model.parameters()])
