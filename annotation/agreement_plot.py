"""The picture of agreement: alpha by question and hazard, and how each annotator does."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from annotation.agreement import Agreement, questions
from annotation.alpha import Alpha
from schemas.taxonomy import load_taxonomy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

MOST = 24
"""Annotators shown, those with the most annotations."""
_INK, _MUTED, _ACCENT, _SECOND = "#22303c", "#8494a2", "#2f6fa8", "#c8762b"
_STYLE: Any = {
    "font.size": 10,
    "text.parse_math": False,
    "text.color": _INK,
    "axes.labelcolor": _INK,
    "axes.edgecolor": "#c9d1d8",
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.left": False,
    "ytick.color": _INK,
    "xtick.color": _MUTED,
}


def draw_agreement(found: Agreement) -> bytes:
    """A PNG; equal figures give equal bytes on one machine."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    hazards = load_taxonomy().hazards
    by_question = [(questions()[name].title, one) for name, one in found.questions.items()]
    by_hazard = [
        (hazards[key].title if key in hazards else "No hazard", alphas["verdict"])
        for key, alphas in found.hazards.items()
    ]
    rows = (len(by_question), len(by_hazard), min(len(found.annotators), MOST))
    heights = [0.36 * max(row, 2) + 1.15 for row in rows]
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(7.6, sum(heights)), layout="constrained")
        first, second, third = figure.subplots(3, 1, height_ratios=heights)
        _draw_alphas(first, "Agreement by question (Krippendorff's alpha)", by_question)
        _draw_alphas(second, "Agreement on the verdict, by the machine's hazard", by_hazard)
        _draw_annotators(third, found)
        out = io.BytesIO()
        figure.savefig(out, format="png", dpi=130, metadata={"Software": None})
    return out.getvalue()


def _draw_alphas(axes: Axes, title: str, rows: Sequence[tuple[str, Alpha]]) -> None:
    bounds = [value for _, one in rows for value in (one.low, one.alpha) if value is not None]
    left = min([0.0, *bounds]) - 0.05
    for place, (_, one) in enumerate(rows):
        if one.alpha is None:
            axes.text(
                left + 0.02, place, f"not defined: {one.why}", va="center", color=_MUTED, style="italic"
            )
            continue
        if one.low is not None and one.high is not None:
            axes.plot([one.low, one.high], [place, place], color=_ACCENT, linewidth=5, alpha=0.35)
        axes.plot(one.alpha, place, "o", color=_ACCENT)
        axes.text(1.06, place, f"{one.alpha:.2f}   {one.pairs:,} pairs", va="center", color=_MUTED)
    for value, name in ((0.667, "0.667: tentative"), (0.8, "0.8: reliable")):
        axes.axvline(value, color=_MUTED, linewidth=0.8, linestyle=(0, (3, 3)), zorder=0)
        side = "right" if value < 0.7 else "left"
        axes.text(value, -0.85, f" {name} ", ha=side, va="center", color=_MUTED, fontsize=8.5)
    _finish(axes, title, [name for name, _ in rows], (left, 1.4))
    axes.set_xticks([tick / 5 for tick in range(round(left * 5), 6)])


def _draw_annotators(axes: Axes, found: Agreement) -> None:
    most = sorted(found.annotators.items(), key=lambda item: (-item[1].annotations, item[0]))[:MOST]
    for place, (_, one) in enumerate(most):
        gold = one.accuracy.get("joint_harmful")
        if gold and gold.share is not None and gold.low is not None and gold.high is not None:
            axes.plot([gold.low, gold.high], [place, place], color=_SECOND, linewidth=5, alpha=0.35)
            axes.plot(gold.share, place, "s", color=_SECOND)
        if one.agreement is not None:
            axes.plot(one.agreement, place, "o", color=_ACCENT)
        seconds = f", {one.seconds:.0f} s" if one.seconds is not None else ""
        axes.text(1.06, place, f"{one.annotations:,} pairs{seconds}", va="center", color=_MUTED)
    axes.plot([], [], "o", color=_ACCENT, label="same answer as another annotator")
    axes.plot([], [], "s", color=_SECOND, label="right on gold pairs, with its interval")
    axes.legend(
        loc="center left",
        bbox_to_anchor=(-0.02, -0.75),
        bbox_transform=axes.transData,
        ncols=2,
        frameon=False,
        fontsize=8.5,
    )
    shown = f", the {MOST} with most pairs" if len(found.annotators) > MOST else ""
    _finish(axes, f"Annotators{shown}: harmful together?", [name[:8] for name, _ in most], (0, 1.4))
    axes.set_xticks([0, 0.25, 0.5, 0.75, 1], ["0 %", "25 %", "50 %", "75 %", "100 %"])


def _finish(axes: Axes, title: str, names: Sequence[str], limits: tuple[float, float]) -> None:
    axes.set_title(title, loc="left", fontweight="bold", fontsize=11, pad=8)
    axes.set_yticks(range(len(names)), list(names))
    axes.set_ylim(max(len(names), 1) - 0.4, -1.15)
    axes.set_xlim(*limits)
