import pytest
import torch

from generators.tinyworld.train.loop import autocast, optimise

CPU = torch.device("cpu")


def test_the_loss_falls_and_its_late_mean_is_returned() -> None:
    weight = torch.nn.Parameter(torch.tensor([4.0]))
    steps: list[int] = []

    def loss(step: int) -> torch.Tensor:
        steps.append(step)
        return (weight**2).sum()

    final = optimise("a square", [weight], loss, steps=60, learning_rate=0.5, device=CPU)
    assert steps == list(range(60))
    assert final < 1


def test_a_frozen_parameter_stays_and_a_trainable_one_moves() -> None:
    free = torch.nn.Parameter(torch.tensor([1.0]))
    frozen = torch.nn.Parameter(torch.tensor([1.0]), requires_grad=False)
    optimise("two", [free, frozen], lambda _: (free * frozen).sum(), steps=3, learning_rate=0.1, device=CPU)
    assert frozen.item() == 1
    assert free.item() != 1


@pytest.mark.parametrize("steps", [1, 2, 3])
def test_few_steps_are_enough_to_run(steps: int) -> None:
    weight = torch.nn.Parameter(torch.tensor([1.0]))
    final = optimise(
        "a few", [weight], lambda _: (weight**2).sum(), steps=steps, learning_rate=0.1, device=CPU
    )
    assert 0 <= final <= 1


@pytest.mark.parametrize(
    ("capabilities", "dtype"),
    [({"avx512_bf16": True}, torch.bfloat16), ({"amx_bf16": True}, torch.bfloat16), ({}, torch.float32)],
)
def test_a_cpu_computes_in_bfloat16_only_if_it_has_the_instructions(
    capabilities: dict[str, bool], dtype: torch.dtype, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(torch.cpu, "get_capabilities", lambda: capabilities)
    with autocast(CPU):
        assert (torch.ones(2, 2) @ torch.ones(2, 2)).dtype == dtype
