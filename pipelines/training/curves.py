"""The curves of a run: loss, rewards and lengths over its steps."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

SHOWN = (
    "loss",
    "reward",
    "entropy",
    "mean_token_accuracy",
    "completions/mean_length",
    "frac_reward_zero_std",
)
"""What is shown, where a run logs it, before every reward by itself."""


def draw_curves(lines: Sequence[dict[str, Any]], out: Path, title: str) -> bool:
    """Draw what was logged more than once, a panel each; False (and no file) if there is nothing."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    names = _panels(lines)
    if not names:
        return False
    columns = min(3, len(names))
    rows = -(-len(names) // columns)
    figure = Figure(figsize=(4.2 * columns, 2.8 * rows), layout="constrained")
    for number, name in enumerate(names, start=1):
        points = [(line["step"], line[name]) for line in lines if name in line]
        axes = figure.add_subplot(rows, columns, number)
        axes.plot(*zip(*points, strict=True), color="#2b6cb0", linewidth=1.4)
        axes.set_title(name.removeprefix("rewards/").removesuffix("/mean"), fontsize=10)
        axes.set_xlabel("step", fontsize=9)
        axes.grid(alpha=0.3)
    figure.suptitle(title, fontsize=12)
    figure.savefig(out, dpi=110)
    return True


def _panels(lines: Sequence[dict[str, Any]]) -> list[str]:
    counts: dict[str, int] = {}
    for line in lines:
        for name in line:
            counts[name] = counts.get(name, 0) + 1
    rewards = sorted(name for name in counts if name.startswith("rewards/") and name.endswith("/mean"))
    return [name for name in (*SHOWN, *rewards) if counts.get(name, 0) > 1]
