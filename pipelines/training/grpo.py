"""Group relative policy optimisation by TRL's GRPOTrainer, with the rewards and mechanisms that the profile names."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import datasets

from pipelines.training.arguments import adapter_of, common_arguments
from pipelines.training.batches import chosen_rows, repeated_order
from pipelines.training.configuration import Rewards, TrainConfig
from pipelines.training.embedders import load_embedder
from pipelines.training.examples import prompt_of
from pipelines.training.mechanisms.trainer import trainer_class
from pipelines.training.mechanisms.training_set import prepared
from pipelines.training.policy import Policy
from pipelines.training.rewards.ascent import MultiplierAscent
from pipelines.training.rewards.catalogue import CATALOGUE, Resources, make_reward
from pipelines.training.rewards.cost import Multiplier
from pipelines.training.rewards.functions import reward_functions
from pipelines.training.rewards.gate import Gate
from pipelines.training.rewards.policy_verdicts import PolicyVerdicts
from pipelines.training.run_folder import RunFolder


def questions(examples: datasets.Dataset, config: TrainConfig, dataset: Path) -> datasets.Dataset:
    """The rows to ask about, in the order of training: columns `prompt`, `image` and the fields of `Example`.

    Contrast partners are in one step, so that the reward `contrast` sees them together.
    """
    settings = config.grpo
    chosen = chosen_rows(examples["contrast_group"], examples["id"], settings.share, from_end=True)
    if not chosen:
        raise ValueError("no pair is left to ask about; set grpo.share higher")
    rows = prepared(examples.select(chosen), config.mechanisms, dataset, "train")
    prompts = datasets.Dataset.from_list([{"prompt": prompt_of(text)} for text in rows["text"]])
    order = repeated_order(
        rows["contrast_group"], settings.prompts, settings.seed, settings.steps * settings.prompts
    )
    return datasets.concatenate_datasets([rows, prompts], axis=1).select(order)


def grpo_trainer(policy: Policy, rows: datasets.Dataset, config: TrainConfig, run: RunFolder) -> Any:
    """TRL's trainer, or its subclass with the mechanisms, ready to run."""
    from trl import GRPOConfig

    settings, rewards = config.grpo, config.rewards
    resources = _resources(policy, rewards)
    chosen = {
        name: make_reward(name, resources, **rewards.parameters.get(name, {})) for name in rewards.weights
    }
    arguments = common_arguments(settings, config.policy, run)
    completions = settings.prompts * settings.generations
    gate = Gate(max_think=rewards.max_think, max_rationale=rewards.max_rationale)
    return trainer_class(config.mechanisms)(
        model=policy.model,
        processing_class=policy.processor,
        train_dataset=rows,
        reward_funcs=list(reward_functions(chosen, gate)),
        peft_config=adapter_of(config.policy, policy.model),
        callbacks=[MultiplierAscent(resources.multiplier)],
        args=GRPOConfig(
            **(arguments | {"gradient_accumulation_steps": completions // settings.batch_size}),
            max_steps=settings.steps * settings.iterations,
            generation_batch_size=completions,
            num_generations=settings.generations,
            max_completion_length=settings.max_completion,
            temperature=settings.temperature,
            top_p=settings.top_p,
            min_p=settings.min_p or None,
            top_entropy_quantile=settings.top_entropy,
            epsilon=settings.epsilon,
            epsilon_high=settings.epsilon_high,
            beta=settings.beta,
            loss_type=settings.loss,
            scale_rewards=settings.scale,
            multi_objective_aggregation=settings.aggregation,
            mask_truncated_completions=settings.mask_truncated,
            num_iterations=settings.iterations,
            reward_weights=list(rewards.weights.values()),
            shuffle_dataset=False,
            remove_unused_columns=False,
            use_vllm=bool(settings.vllm),
            vllm_mode=settings.vllm or "colocate",
        ),
    )


def _resources(policy: Policy, rewards: Rewards) -> Resources:
    """The models that the chosen rewards need, and no other."""
    needed = {need for name in rewards.weights for need in CATALOGUE[name].needs}
    embedder = load_embedder(rewards.embedder, rewards.embedder_revision) if rewards.embedder else None
    frozen = copy.deepcopy(policy.model).eval().requires_grad_(False) if "reference" in needed else None
    return Resources(
        embedder=embedder,
        reference=PolicyVerdicts(frozen, policy.processor) if frozen is not None else None,
        policy=PolicyVerdicts(policy.model, policy.processor),
        multiplier=Multiplier(**rewards.multiplier.model_dump()),
    )
