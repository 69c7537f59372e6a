"""What each mechanism can be set to; a section that is there switches its mechanism on."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field, field_validator

from schemas.config import Count, Fraction
from schemas.profile import Section

Weight = Annotated[float, Field(ge=0.0)]
Domain = Literal["role", "hazard", "mechanism", "provenance"]
"""Columns of `Example` that can divide a training set into domains."""


class Clipping(Section):
    """How the clip range shrinks during a run (GuardReasoner-VL, arXiv 2505.11049)."""

    schedule: Literal["linear", "product"] = "linear"


class Perception(Section):
    """The implicit perception loss with the double entropy term (PAPO, arXiv 2507.06448)."""

    gamma: Weight = Field(default=0.01, description="weight of the divergence that is made larger")
    entropy: Weight = Field(default=0.03, description="weight of the entropy given the image")
    masked_entropy: Weight = Field(default=0.03, description="weight of the entropy given the masked image")
    masked: Fraction = Field(default=0.6, description="share of the patches that are masked")
    patch: Count = Field(default=14, description="side of a patch, in pixels of the processed image")
    ceiling: float = Field(default=10.0, gt=0, description="the most that one token counts as divergence")


class Dependence(Section):
    """Weights of tokens and trajectories by how much they depend on the image (VPPO, arXiv 2510.09285)."""

    tokens: Fraction = Field(default=0.4, gt=0, description="share of each completion's tokens that are kept")
    floor: Fraction = Field(
        default=0.9, description="weight of the least dependent trajectory; the mean is 1"
    )
    masked: Fraction = Field(default=0.5, description="share of the patches that are masked")
    patch: Count = Field(default=14, description="side of a patch, in pixels of the processed image")


class Emphasis(Section):
    """More weight for the tokens that decide the verdict, as `sft.verdict_weight` gives them."""

    verdict_weight: float = Field(default=10.0, gt=0, description="against 1 of the other tokens")


class Uncertainty(Section):
    """The bonus on answers that change when the image is noised (after VOGUE, arXiv 2510.01444)."""

    weight: Weight = Field(
        default=0.1, description="of the bonus at the first step; it falls to 0 at the last"
    )
    noise: float = Field(default=0.4, gt=0, description="standard deviation, in units of the processed image")
    ceiling: float = Field(default=2.0, gt=0, description="the most that a completion's uncertainty can be")


class Counterfactuals(Section):
    """Copies of harmful pairs with the evidence, or another region, masked (after DeFacto, arXiv 2509.20912)."""

    share: Fraction = Field(
        default=0.2, description="of the harmful pairs with a known region that get copies"
    )


class Mixture(Section):
    """How much of a training set comes from each domain (weights as fitted by `mixtures.fit`)."""

    by: Domain = "role"
    weights: dict[str, Weight] = Field(min_length=1, description="domain to weight; scaled to a sum of 1")
    size: Count | None = Field(default=None, description="rows of the mixed set; as many as before if unset")


class Mechanisms(Section):
    """Which mechanisms are on. All are off by default; `off` as the value switches one of a profile off."""

    clipping: Clipping | None = None
    perception: Perception | None = None
    dependence: Dependence | None = None
    emphasis: Emphasis | None = None
    uncertainty: Uncertainty | None = None
    counterfactuals: Counterfactuals | None = None
    mixture: Mixture | None = None

    @field_validator("*", mode="before")
    @classmethod
    def _off(cls, value: Any) -> Any:
        return None if value == "off" else value
