"""Divergence of two policies from the log-probabilities that both give to the tokens that one of them sampled.

All estimates are of one token each: shape (B, T) in and out, in nats, never negative. They need no distribution over
the vocabulary, so a second view of the image costs a forward pass and no logits.
"""

from __future__ import annotations

import torch

LOG_RATIO_LIMIT = 20.0
"""Log-ratios are cut here, far beyond any that matters, so that their exponential stays finite."""


def kl(logps: torch.Tensor, other: torch.Tensor, ceiling: float = 10.0) -> torch.Tensor:
    """Estimate KL(policy || other policy) at tokens sampled from the policy: exp(d) - d - 1, d = other - logps.

    Unbiased and of low variance; at most `ceiling`, as in the released code of PAPO and VPPO.
    """
    log_ratio = (other - logps).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    return (log_ratio.exp() - log_ratio - 1).clamp(max=ceiling)


def symmetric_kl(logps: torch.Tensor, other: torch.Tensor, ceiling: float = 10.0) -> torch.Tensor:
    """Estimate KL both ways, summed, at tokens sampled from the policy: d * (exp(d) - 1), d = other - logps.

    Its expectation is exact, since KL(p || q) + KL(q || p) is the mean under p of (q / p - 1) * log(q / p).
    """
    log_ratio = (other - logps).clamp(-LOG_RATIO_LIMIT, LOG_RATIO_LIMIT)
    return (log_ratio * log_ratio.expm1()).clamp(max=ceiling)


def mean_over_tokens(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean of (B, T) values over the tokens whose mask is 1; 0 if there is none."""
    return (values * mask).sum() / mask.sum().clamp(min=1.0)


def mean_by_completion(values: torch.Tensor, mask: torch.Tensor) -> torch.Tensor:
    """The mean of each row of (B, T) values over its tokens, as (B,); 0 for a row without tokens."""
    return (values * mask).sum(-1) / mask.sum(-1).clamp(min=1.0)
