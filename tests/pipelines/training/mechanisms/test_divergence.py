"""Estimates of divergence against what whole distributions give."""

import math

import pytest
import torch

from pipelines.training.mechanisms.divergence import kl, mean_by_completion, mean_over_tokens, symmetric_kl

P, Q = torch.tensor([0.5, 0.3, 0.2]), torch.tensor([0.2, 0.2, 0.6])


def test_the_divergence_of_a_token_is_that_of_the_formula():
    # The other policy finds the token half as likely: d = -log 2, and exp(d) - d - 1 = 1/2 + log 2 - 1.
    found = kl(torch.tensor([[math.log(0.4)]]), torch.tensor([[math.log(0.2)]]))
    assert found.item() == pytest.approx(math.log(2) - 0.5)


def test_the_symmetric_divergence_of_a_token_is_that_of_the_formula():
    # d = -log 2: d * (exp(d) - 1) = log 2 / 2.
    found = symmetric_kl(torch.tensor([[math.log(0.4)]]), torch.tensor([[math.log(0.2)]]))
    assert found.item() == pytest.approx(math.log(2) / 2)


def test_the_mean_over_sampled_tokens_is_the_divergence():
    assert (P * kl(P.log(), Q.log())).sum() == pytest.approx(float((P * (P / Q).log()).sum()), abs=1e-6)


def test_the_mean_of_the_symmetric_one_is_the_sum_of_both_divergences():
    both = ((P - Q) * (P / Q).log()).sum()
    assert (P * symmetric_kl(P.log(), Q.log())).sum() == pytest.approx(float(both), abs=1e-6)


@pytest.mark.parametrize("estimate", [kl, symmetric_kl])
def test_a_token_that_one_policy_rules_out_counts_the_ceiling(estimate):
    assert estimate(torch.tensor([-200.0]), torch.tensor([-1.0]), 7.0).item() == 7.0


@pytest.mark.parametrize("estimate", [kl, symmetric_kl])
def test_policies_that_agree_do_not_diverge(estimate):
    assert estimate(P.log(), P.log()).tolist() == [0, 0, 0]


def test_means_leave_out_what_is_masked():
    values, mask = torch.tensor([[1.0, 2.0], [3.0, 9.0], [5.0, 5.0]]), torch.tensor([[1, 1], [1, 0], [0, 0]])
    assert mean_over_tokens(values, mask).item() == 2.0
    assert mean_by_completion(values, mask).tolist() == [1.5, 3.0, 0.0]
