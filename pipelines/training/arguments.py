"""What every trainer of TRL is told: the same for SFT, GRPO and DPO."""

from __future__ import annotations

from typing import Any

from pipelines.training.configuration import Optimisation, Policy
from pipelines.training.run_folder import RunFolder


def common_arguments(settings: Optimisation, policy: Policy, run: RunFolder) -> dict[str, Any]:
    """Keyword arguments of a TRL configuration, but for how long to train."""
    import torch

    on_gpu = policy.device == "cuda" or (policy.device == "auto" and torch.cuda.is_available())
    saving = {"save_strategy": "steps", "save_steps": settings.save_every, "save_total_limit": 2}
    return {
        "output_dir": str(run.checkpoints),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": settings.schedule,
        "warmup_steps": settings.warmup,
        "weight_decay": settings.weight_decay,
        "max_grad_norm": settings.max_grad_norm,
        "per_device_train_batch_size": settings.batch_size,
        "gradient_accumulation_steps": settings.accumulation,
        "seed": settings.seed,
        "data_seed": settings.seed,
        "logging_steps": settings.log_every,
        "logging_first_step": True,
        "report_to": ["tensorboard"],
        "use_cpu": not on_gpu,
        "bf16": on_gpu and policy.dtype == "bfloat16",
        "disable_tqdm": True,
        "activation_checkpointing": policy.gradient_checkpointing,
        **(saving if settings.save_every else {"save_strategy": "no"}),
    }


def adapter_of(policy: Policy) -> Any:
    """peft's configuration of the adapters; None where all weights are trained."""
    if not policy.lora.rank:
        return None
    from peft import LoraConfig

    lora = policy.lora
    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target,
        task_type="CAUSAL_LM",
    )
