"""One training loop for all models: AdamW, warm-up and cosine, bfloat16 where the hardware has it, a progress bar."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import AbstractContextManager, nullcontext

import torch
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn


def optimise(
    name: str,
    parameters: Iterable[torch.nn.Parameter],
    loss_of_step: Callable[[int], torch.Tensor],
    *,
    steps: int,
    learning_rate: float,
    device: torch.device,
) -> float:
    """Minimise `loss_of_step(step)` and return the mean loss of the last tenth of the steps."""
    trainable = [p for p in parameters if p.requires_grad]
    optimiser = torch.optim.AdamW(trainable, lr=learning_rate, betas=(0.9, 0.98), weight_decay=0.05)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimiser,
        max_lr=learning_rate,
        total_steps=steps,
        pct_start=min(0.1, 200 / steps),
        final_div_factor=100,
    )
    recent: list[float] = []
    with _bar() as progress:
        task = progress.add_task(name, total=steps, loss="")
        for step in range(steps):
            with autocast(device), _attention(device):
                loss = loss_of_step(step)
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(trainable, 1.0)
            optimiser.step()
            schedule.step()
            recent = [*recent[-max(1, steps // 10) + 1 :], loss.item()]
            mean = sum(recent[-50:]) / len(recent[-50:])
            progress.update(task, advance=1, loss=f"loss {mean:.3f}")
            if not progress.console.is_terminal and (step + 1) % max(1, steps // 20) == 0:
                progress.console.log(f"{name}: step {step + 1} of {steps}, loss {mean:.3f}")
    return sum(recent) / len(recent)


def autocast(device: torch.device) -> AbstractContextManager[None]:
    """bfloat16 where the hardware computes in it; a CPU without such instructions takes many times longer with it."""
    capabilities = torch.cpu.get_capabilities()
    native = device.type != "cpu" or capabilities.get("avx512_bf16") or capabilities.get("amx_bf16")
    return torch.autocast(device.type, dtype=torch.bfloat16) if native else nullcontext()


def _attention(device: torch.device) -> AbstractContextManager[None]:
    """On a CPU the plain kernel: torch's fused one spends half of a step in its bfloat16 backward pass."""
    from torch.nn.attention import SDPBackend, sdpa_kernel

    return sdpa_kernel(SDPBackend.MATH) if device.type == "cpu" else nullcontext()


def _bar() -> Progress:
    columns = (TextColumn("{task.description:<18}"), BarColumn(), MofNCompleteColumn())
    return Progress(*columns, TimeRemainingColumn(), TextColumn("{task.fields[loss]}"), refresh_per_second=1)
