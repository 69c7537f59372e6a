"""The comparison as pictures (PNG): bars with intervals, reliability, and F1 by hazard."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from pipelines.training.evaluation.bootstrap import Estimate
from pipelines.training.evaluation.summary import Figures
from schemas.taxonomy import load_taxonomy

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Results = Mapping[str, Mapping[str, Figures]]
"""Part to model to figures."""

FEW = 10
"""Pairs under which a figure tells little."""
SHOWN = {"f1": "F1", "contrast_accuracy": "contrast-set accuracy", "auroc": "AUROC"}
COLOURS = ("#4878a8", "#c4693b", "#5f9e6e", "#8d6cab", "#b8a24a", "#5aa5a9", "#b5657f", "#7a7a7a")
_STYLE: Any = {
    "font.size": 11,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.parse_math": False,
    "axes.axisbelow": True,
}


def draw_all(results: Results, out: Path) -> list[Path]:
    """Write `bars.png`, `reliability.png` and `by_hazard.png` into a folder; the last only where there are hazards."""
    import matplotlib as mpl

    drawn = []
    with mpl.rc_context(_STYLE):
        for name, draw in (("bars", _bars), ("reliability", _reliability), ("by_hazard", _by_hazard)):
            figure = draw(results)
            if figure is not None:
                path = out / f"{name}.png"
                figure.savefig(path, dpi=110, metadata={"Software": None})
                drawn.append(path)
    return drawn


def _models(results: Results) -> dict[str, str]:
    """Model to its colour."""
    names = list(dict.fromkeys(model for figures in results.values() for model in figures))
    return {name: COLOURS[number % len(COLOURS)] for number, name in enumerate(names)}


def _figure(width: float, height: float) -> Figure:
    from matplotlib.figure import Figure

    return Figure(figsize=(width, height), layout="constrained")


def _bars(results: Results) -> Figure:
    """A panel a measure, a group of bars a part, a bar a model."""
    models = _models(results)
    width = 0.8 / len(models)
    figure = _figure(3.2 + 1.1 * len(results) * max(len(models), 2), 4.4)
    grid = figure.subplots(1, len(SHOWN), sharey=True)
    for axes, (measure, title) in zip(grid, SHOWN.items(), strict=True):
        for number, (model, colour) in enumerate(models.items()):
            axes.plot([], [], "s", color=colour, label=model, markersize=9)
            for place, figures in enumerate(results.values()):
                shift = (number - (len(models) - 1) / 2) * width
                _bar(axes, place + shift, figures[model].measures.get(measure), width * 0.92, colour)
        axes.set_title(title, fontsize=11)
        axes.set_xticks(range(len(results)), [_wrapped(part) for part in results])
        axes.grid(axis="y", color="#dddddd", linewidth=0.8)
        axes.set_ylim(0, 1.08)
    _legend(figure, grid[0], len(models))
    return figure


def _legend(figure: Figure, axes: Axes, models: int) -> None:
    handles, labels = axes.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside lower center", ncols=min(models, 3), frameon=False)


def _bar(axes: Axes, place: float, found: Estimate | None, width: float, colour: str) -> None:
    """A bar with its interval and number, or a note that there is none."""
    if found is None or found.value is None:
        axes.text(place, 0.01, "n/a", ha="center", va="bottom", rotation=90, fontsize=9, color="#777777")
        return
    axes.bar(place, found.value, width, color=colour)
    if found.low is not None and found.high is not None:
        axes.plot([place, place], [found.low, found.high], color="#222222", linewidth=1.3)
    top = max(found.value, found.high or 0.0)
    axes.text(place, top + 0.012, f"{found.value:.2f}", ha="center", va="bottom", fontsize=9)


def _reliability(results: Results) -> Figure:
    """A row a part, a column a model: the share that is harmful over the probability; areas show how many rows."""
    models = _models(results)
    figure = _figure(0.8 + 2.9 * len(models), 0.6 + 2.9 * len(results))
    grid = figure.subplots(len(results), len(models), sharex=True, sharey=True, squeeze=False)
    for line, (part, figures) in zip(grid, results.items(), strict=True):
        line[0].set_ylabel(f"{_wrapped(part)}\nshare that is harmful")
        for axes, (model, colour) in zip(line, models.items(), strict=True):
            axes.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle="--")
            if model in figures:
                _curve(axes, figures[model], colour)
            axes.set_xlim(-0.04, 1.04)
            axes.set_ylim(-0.04, 1.04)
    for axes, model in zip(grid[0], models, strict=True):
        axes.set_title(f"{model}\n{axes.get_title()}", fontsize=10)
    for axes in grid[-1]:
        axes.set_xlabel("probability of harm")
    figure.supxlabel(f"areas: share of the pairs; hollow: fewer than {FEW} of them", fontsize=9)
    return figure


def _curve(axes: Axes, figures: Figures, colour: str) -> None:
    filled = [one for one in figures.reliability if one[0]]
    whole = sum(size for size, _, _ in filled)
    told = [one for one in filled if one[0] >= FEW]
    axes.plot([p for _, p, _ in told], [share for _, _, share in told], color=colour, linewidth=1, alpha=0.6)
    for size, p, share in filled:
        face = colour if size >= FEW else "white"
        area = 12 + 300 * size / whole
        axes.scatter(
            p, share, s=area, facecolors=face, edgecolors=colour, alpha=0.75, linewidths=1, clip_on=False
        )
    error = figures.measures["calibration_error"].value
    axes.set_title(f"error {error:.3f}" if error is not None else "", fontsize=10)


def _by_hazard(results: Results) -> Figure | None:
    """A panel a part: F1 with its interval for every hazard and model; a contrast set counts for its harmful pair.

    At the right stands how many pairs are behind a hazard's points; under `FEW` they are hollow.
    """
    models = _models(results)
    parts = {
        part: figures
        for part, figures in results.items()
        if any(one.by["hazard"] for one in figures.values())
    }
    if not parts:
        return None
    hazards = sorted(
        {name for figures in parts.values() for one in figures.values() for name in one.by["hazard"]}
    )
    figure = _figure(1.6 + 3.6 * len(parts), 1.4 + len(hazards) * (0.25 + 0.17 * len(models)))
    grid = figure.subplots(1, len(parts), sharey=True, squeeze=False)[0]
    for axes, (part, figures) in zip(grid, parts.items(), strict=True):
        for number, (model, colour) in enumerate(models.items()):
            shift = (number - (len(models) - 1) / 2) * 0.7 / len(models)
            found = figures[model].by["hazard"] if model in figures else {}
            for row, hazard in enumerate(hazards):
                _point(axes, row + shift, found.get(hazard), colour)
            axes.plot([], [], "o", color=colour, label=model)
        known = next(iter(figures.values())).by["hazard"]
        for row, hazard in enumerate(hazards):
            pairs = known[hazard]["rows"] if hazard in known else 0
            axes.text(1.04, row, f"n={pairs}", va="center", fontsize=8, color="#555555")
        axes.set_title(_wrapped(part), fontsize=11)
        axes.set_xlim(-0.02, 1.02)
        axes.set_xticks((0, 0.25, 0.5, 0.75, 1), ("0", "0.25", "0.5", "0.75", "1"))
        axes.set_xlabel("F1")
        axes.grid(axis="x", color="#dddddd", linewidth=0.8)
    grid[0].set_yticks(range(len(hazards)), [_title(hazard) for hazard in hazards])
    grid[0].set_ylim(len(hazards) - 0.4, -0.6)
    _legend(figure, grid[0], len(models))
    return figure


def _point(axes: Axes, row: float, group: dict[str, Any] | None, colour: str) -> None:
    found: Estimate | None = group["measures"].get("f1") if group else None
    if group is None or found is None or found.value is None:
        return
    few = group["rows"] < FEW
    if found.low is not None and found.high is not None and not few:
        axes.plot([found.low, found.high], [row, row], color=colour, linewidth=1.5)
    axes.plot(found.value, row, "o", color=colour, markersize=5, markerfacecolor="white" if few else colour)


def _title(hazard: str) -> str:
    known = load_taxonomy().hazards
    return known[hazard].title if hazard in known else hazard


def _wrapped(part: str) -> str:
    return part.replace(":", ":\n", 1)
