"""The typed configuration of a training: a TOML profile, `--set section.key=value` overrides, one class a section."""

from __future__ import annotations

from typing import Literal

from pydantic import Field, field_validator, model_validator

from pipelines.training.mechanisms.settings import Mechanisms
from schemas.config import Count, Device, DType, Endpoint, Fraction, Model
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
    accumulation: Count = Field(
        default=1, description="forward passes of one step; GRPO's follow from its prompts and generations"
    )
    seed: int = 0
    log_every: Count = 10
    save_every: int = Field(default=0, ge=0, description="steps between checkpoints; 0 keeps none")


class Sft(Optimisation):
    """Supervised fine-tuning on reasoning chains."""

    learning_rate: float = Field(default=5e-5, gt=0)
    epochs: float = Field(default=3.0, gt=0)
    readings: bool = Field(
        default=True, description="begin each chain with what the model itself says of image and text"
    )
    share: Fraction = Field(
        default=1.0,
        gt=0,
        description="of the contrast sets that chains are made of",
    )
    verdict_weight: float = Field(
        default=1.0, gt=0, description="weight of the tokens that decide the verdict, against 1 of the others"
    )
    verdict_certainty: Fraction = Field(
        default=1.0,
        gt=0,
        description="probability above which such a token is left out of the loss, so that GRPO finds doubts",
    )
    concatenation: Fraction = Field(
        default=0.0, description="rows made of two pairs, as a share of the rows (GuardReasoner-VL)"
    )
    contrast_batches: bool = Field(default=True, description="keep contrast partners in one batch")


class Grpo(Optimisation):
    """Group relative policy optimisation with rewards; defaults after GuardReasoner-VL (arXiv 2505.11049)."""

    learning_rate: float = Field(default=1e-6, gt=0)
    schedule: Literal["cosine", "linear", "constant"] = "constant"
    share: Fraction = Field(
        default=1.0,
        gt=0,
        description="of the contrast sets that are asked about, from the other end than `sft.share`: 0.5 and 0.5 "
        "have none in common",
    )
    steps: Count = 200
    prompts: Count = Field(default=4, description="pairs of one step")
    generations: int = Field(default=16, ge=2, description="completions of every pair")
    max_completion: Count = Field(default=512, description="tokens of a completion")
    temperature: float = Field(default=1.2, gt=0)
    top_p: float = Field(default=1.0, gt=0, le=1)
    min_p: Fraction = Field(
        default=0.0,
        description="tokens less likely than this share of the likeliest are never drawn: a small model then keeps to "
        "the form at temperatures at which its verdicts vary",
    )
    top_entropy: Fraction = Field(
        default=1.0,
        gt=0,
        description="share of the tokens that is learned from, those of the highest entropy (arXiv 2506.01939)",
    )
    epsilon: float = Field(
        default=0.2,
        gt=0,
        lt=1,
        description="clip range; it acts where `iterations` is above 1, and so does the next",
    )
    epsilon_high: float | None = Field(default=None, gt=0)
    beta: float = Field(
        default=0.0, ge=0, description="weight of the divergence from the base; 0 holds no copy of it"
    )
    loss: Literal["grpo", "bnpo", "dr_grpo", "dapo"] = "dapo"
    scale: Literal["group", "batch", "none"] = Field(
        default="group", description="what advantages are divided by"
    )
    aggregation: Literal["sum_then_normalize", "normalize_then_sum"] = "sum_then_normalize"
    mask_truncated: bool = Field(
        default=False, description="leave completions that hit the limit out of the loss"
    )
    iterations: Count = Field(default=1, description="optimiser passes over the same completions")
    vllm: Literal["", "colocate", "server"] = Field(default="", description="let vLLM write the completions")

    @model_validator(mode="after")
    def _whole_batches(self) -> Grpo:
        if self.prompts * self.generations % self.batch_size:
            raise ValueError(
                f"prompts ({self.prompts}) times generations ({self.generations}) is no multiple of batch_size "
                f"({self.batch_size})"
            )
        return self


class Sight(Section):
    """What looks at pictures that tinyworld did not draw, and writes their scene graphs; one of the two, or none."""

    model: Model | None = Field(default=None, description="a vision-language model in this process")
    endpoint: Endpoint | None = Field(default=None, description="one behind an OpenAI-compatible server")
    attempts: Count = Field(default=3, description="tries at the graph of a picture")

    @property
    def given(self) -> bool:
        """Whether there is one."""
        return self.model is not None or self.endpoint is not None

    @model_validator(mode="after")
    def _one_at_most(self) -> Sight:
        if self.model and self.endpoint:
            raise ValueError("give `model` or `endpoint`, not both")
        return self


class Dpo(Optimisation):
    """Direct preference optimisation (arXiv 2305.18290) on perturbed reasonings (SceneAlign, arXiv 2601.05600)."""

    learning_rate: float = Field(default=1e-6, gt=0)
    epochs: float = Field(default=1.0, gt=0)
    beta: float = Field(default=0.1, gt=0, description="how dear it is to leave the reference model")
    supervised: float = Field(
        default=0.0,
        ge=0,
        description="weight of the log-likelihood of the right completion, which DPO alone may lower",
    )
    sight: Sight = Sight()
    fluency: bool = Field(
        default=False,
        description="drop perturbed reasonings of more than twice the right one's perplexity under the model itself",
    )
    unseen: list[str] = Field(
        default=["test", "test_ood"], description="splits on which margins are measured when it is done"
    )
    unseen_examples: int = Field(default=200, ge=0, description="of each such split; 0 takes all")


class Hard(Section):
    """Training on hard examples only, found by rejection sampling with the model that is to be trained."""

    samples: int = Field(default=0, ge=0, description="answers to every pair; 0 keeps all pairs")
    least_wrong: Count = Field(default=1, description="wrong answers that make a pair hard")
    always_wrong: bool = Field(default=False, description="keep pairs, too, that no answer got right")
    temperature: float = Field(default=1.0, gt=0)
    top_p: float = Field(default=0.95, gt=0, le=1)
    max_completion: Count = Field(default=256, description="tokens of an answer")
    batch_size: Count = 16
    seed: int = 0


class Multiplier(Section):
    """The weight of the reward `cost`, which moves between steps (Safe RLHF-V, arXiv 2503.17682)."""

    limit: float = Field(default=0.1, ge=0, description="the mean cost that is allowed")
    rate: float = Field(default=0.1, gt=0, description="how far it moves per step and unit of excess")
    highest: float = Field(default=10.0, gt=0)
    value: float = Field(default=1.0, ge=0, description="where it begins")

    @model_validator(mode="after")
    def _begins_within(self) -> Multiplier:
        if self.value > self.highest:
            raise ValueError(f"value ({self.value}) is above highest ({self.highest})")
        return self


class Rewards(Section):
    """What GRPO pays for: names of `rewards.catalogue.CATALOGUE` with their weights."""

    weights: dict[str, float] = Field(
        default={"format": 0.1, "verdict": 1.0, "hazard": 0.3, "grounding": 0.2, "contrast": 0.5}
    )
    parameters: dict[str, dict[str, float | dict[str, float]]] = Field(
        default={}, description="parameters of a reward, where they are not to be the published ones"
    )
    multiplier: Multiplier = Multiplier()
    embedder: str = Field(
        default="", description="open_clip or sentence encoder; needed by `rationale` and `hybrid`"
    )
    embedder_revision: str = ""
    max_think: Count = Field(default=1500, description="characters of reasoning that are still an answer")
    max_rationale: Count = Field(
        default=500, description="characters of a rationale that are still an answer"
    )

    @field_validator("weights")
    @classmethod
    def _known(cls, weights: dict[str, float]) -> dict[str, float]:
        from pipelines.training.rewards.catalogue import CATALOGUE

        unknown = [name for name in weights if name not in CATALOGUE]
        if unknown or not weights:
            raise ValueError(f"unknown rewards {', '.join(unknown)}; known: {', '.join(CATALOGUE)}")
        return weights

    @model_validator(mode="after")
    def _parameters_are_of_rewards_that_count(self) -> Rewards:
        idle = [name for name in self.parameters if name not in self.weights]
        if idle:
            raise ValueError(f"parameters of {', '.join(idle)}, which has no weight in rewards.weights")
        return self


class TrainConfig(Section):
    """Everything that decides what a training makes of a dataset and a model."""

    policy: Policy = Policy()
    sft: Sft = Sft()
    hard: Hard = Hard()
    grpo: Grpo = Grpo()
    dpo: Dpo = Dpo()
    rewards: Rewards = Rewards()
    mechanisms: Mechanisms = Mechanisms()

    @model_validator(mode="after")
    def _clips_something(self) -> TrainConfig:
        if self.mechanisms.clipping and self.grpo.iterations == 1:
            raise ValueError(
                "mechanisms.clipping acts where completions are used more than once; set grpo.iterations to 2 or more"
            )
        return self
