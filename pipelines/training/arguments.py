"""What every trainer of TRL is told: the same for SFT, GRPO and DPO."""

from __future__ import annotations

from typing import Any

from pipelines.training.configuration import Lora, Optimisation, Policy
from pipelines.training.policy import TOWERS, has_adapters
from pipelines.training.run_folder import RunFolder


def common_arguments(settings: Optimisation, policy: Policy, run: RunFolder) -> dict[str, Any]:
    """Keyword arguments of a TRL configuration, but for how long to train."""
    import torch

    on_gpu = policy.device == "cuda" or (policy.device == "auto" and torch.cuda.is_available())
    saving = {"save_strategy": "steps", "save_steps": settings.save_every, "save_total_limit": 2}
    return {
        "output_dir": str(run.checkpoints),
        "learning_rate": settings.learning_rate,
        "lr_scheduler_type": _scheduler(settings),
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


def _scheduler(settings: Optimisation) -> str:
    """As transformers calls it; its `constant` knows no warm-up."""
    warms_up = settings.schedule == "constant" and settings.warmup > 0
    return "constant_with_warmup" if warms_up else settings.schedule


def adapter_of(policy: Policy, model: Any) -> Any:
    """peft's configuration of new adapters; None where all weights are trained, or the model has adapters already.

    Raises:
        ValueError: The model's adapters are of another size than the profile asks for.
    """
    lora = policy.lora
    if not lora.rank:
        return None
    if has_adapters(model):
        _require_size(lora, model.peft_config["default"])
        return None
    from peft import LoraConfig

    return LoraConfig(
        r=lora.rank,
        lora_alpha=lora.alpha,
        lora_dropout=lora.dropout,
        target_modules=lora.target,
        exclude_modules=rf"(.*\.)?({'|'.join(TOWERS)})\..*" if policy.freeze_vision else None,
        task_type="CAUSAL_LM",
    )


def _require_size(lora: Lora, adapter: Any) -> None:
    if (adapter.r, adapter.lora_alpha) != (lora.rank, lora.alpha):
        raise ValueError(
            f"the model has adapters of rank {adapter.r} and alpha {adapter.lora_alpha}, which training goes on with: "
            f"set policy.lora.rank={adapter.r} and policy.lora.alpha={adapter.lora_alpha}, or policy.lora.rank=0 to "
            "merge them and train all weights"
        )
