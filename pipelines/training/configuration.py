"""The typed configuration of a training: a TOML profile, `--set section.key=value` overrides, one class a section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field

from schemas.config import Count, Device, DType, Fraction
from schemas.profile import Section


class Lora(Section):
    """Low-rank adapters (peft) instead of all weights."""

    rank: int = Field(default=0, ge=0, description="0 trains all weights")
    alpha: Count = 32
    dropout: float = Field(default=0.0, ge=0, lt=1)
    target: str = Field(default="all-linear", description="modules that get an adapter, as peft names them")


class Policy(Section):
    """How the model that is trained is held."""

    device: Device = "auto"
    dtype: DType = "float32"
    freeze_vision: bool = Field(default=True, description="leave the image tower as it is")
    gradient_checkpointing: bool = False
    lora: Lora = Lora()


class Optimisation(Section):
    """What every kind of training has."""

    learning_rate: float = Field(default=1e-5, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "cosine"
    warmup: Fraction = Field(default=0.05, description="share of the steps")
    weight_decay: float = Field(default=0.0, ge=0)
    max_grad_norm: float = Field(default=1.0, gt=0)
    batch_size: Count = Field(default=8, description="rows of one forward pass on a device")
    accumulation: Count = Field(default=1, description="forward passes of one step")
    seed: int = 0
    log_every: Count = 10
    save_every: int = Field(default=0, ge=0, description="steps between checkpoints; 0 keeps none")


class Sft(Optimisation):
    """Supervised fine-tuning on reasoning chains."""

    learning_rate: float = Field(default=5e-5, gt=0)
    epochs: float = Field(default=3.0, gt=0)
    concatenation: Fraction = Field(
        default=0.0, description="rows made of two pairs, as a share of the rows (GuardReasoner-VL)"
    )
    contrast_batches: bool = Field(default=True, description="keep contrast partners in one batch")


class TrainConfig(Section):
    """Everything that decides what a training makes of a dataset and a model."""

    policy: Policy = Policy()
    sft: Sft = Sft()
