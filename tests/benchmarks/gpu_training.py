"""GRPO by `pipelines.training` against TRL's trainer as its own example uses it, on one model with one adapter."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any, NamedTuple

import datasets
from PIL import Image

from generators.tinyworld.grammar import utter
from pipelines.training.configuration import TrainConfig
from pipelines.training.examples import example_of
from pipelines.training.grpo import grpo_trainer, questions
from pipelines.training.policy import Policy, load_policy
from pipelines.training.run_folder import RunFolder
from tests.benchmarks.pool import picture

LORA = {"rank": 32, "alpha": 64}


class Steps(NamedTuple):
    """How much one way trains."""

    steps: int
    prompts: int
    generations: int
    batch: int
    completion: int
    """Tokens that every completion has."""
    side: int
    """Pixels of a picture."""

    @property
    def tokens(self) -> int:
        """Tokens that are generated and learned from."""
        return self.steps * self.prompts * self.generations * self.completion


class Training:
    """A few steps of each way; both trainers share the weights, so that either's memory is its own."""

    def __init__(self, model: Path, work: Path, size: Steps, device: str, dtype: str) -> None:
        self.count, self._model, self._work, self._size = size.tokens, model, work, size
        self._device, self._dtype = device, dtype
        self._trainers: dict[str, Any] = {}

    def warm_up(self) -> None:
        """Load the model, give it an adapter, and make both trainers."""
        from peft import LoraConfig, get_peft_model
        from transformers import PrinterCallback
        from transformers.integrations.integration_utils import TensorBoardCallback
        from trl import GRPOTrainer
        from trl.rewards import think_format_reward

        loaded = load_policy(str(self._model), self._dtype)
        adapter = LoraConfig(r=LORA["rank"], lora_alpha=LORA["alpha"], target_modules="all-linear")
        policy = Policy(get_peft_model(loaded.model.to(self._device), adapter), loaded.processor)
        rows = questions(_examples(self._size), self._configuration(), self._work)
        ours = grpo_trainer(policy, rows, self._configuration(), RunFolder(self._work / "run"))
        theirs = GRPOTrainer(
            model=policy.model,
            processing_class=policy.processor,
            reward_funcs=think_format_reward,
            train_dataset=rows.select_columns(["prompt", "image"]),
            args=_without_weights(ours.args),
        )
        self._trainers = {"ours": ours, "theirs": theirs}
        for trainer in self._trainers.values():
            # Random weights end an answer by chance; both ways are to generate the same number of tokens.
            trainer.remove_callback(PrinterCallback)
            trainer.remove_callback(TensorBoardCallback)
            trainer.generation_config.min_new_tokens = self._size.completion
            trainer.train()

    def through_pipeline(self) -> None:
        """The trainer of `pipelines.train grpo`, with the rewards of the profile."""
        self._trainers["ours"].train()

    def bare(self) -> None:
        """TRL's trainer with a reward of its own."""
        self._trainers["theirs"].train()

    def _configuration(self) -> TrainConfig:
        size = self._size
        grpo = {
            "steps": size.steps,
            "prompts": size.prompts,
            "generations": size.generations,
            "batch_size": size.batch,
            "max_completion": size.completion,
        }
        policy = {"device": self._device, "dtype": self._dtype, "gradient_checkpointing": True}
        return TrainConfig.model_validate({"grpo": grpo, "policy": policy})


def _without_weights(arguments: Any) -> Any:
    """The same settings for a trainer that has one reward."""
    found = copy.copy(arguments)
    found.reward_weights = None
    return found


def _examples(size: Steps) -> datasets.Dataset:
    """Pairs of random pictures and texts of tinyworld, half of them called harmful."""
    count = size.steps * size.prompts
    rows = []
    for number in range(count):
        said = dict.fromkeys(("contrast_group", "image_caption", "image_prompt", "text_prompt"), "")
        said |= {"hazard": "phy", "mechanism": "poisoning", "rationale": "It burns.", "role": "benign"}
        said |= {"image_origin": "generated", "text_origin": "generated"}
        example = example_of(
            {"id": str(number), "text": utter(number).text, "label": number % 2, **said}
            | {"p_image": 0.0, "p_text": 0.0}
        )
        shown = picture(number).resize((size.side, size.side), Image.Resampling.BICUBIC)
        rows.append({"image": shown, **example._asdict()})
    return datasets.Dataset.from_list(rows)
