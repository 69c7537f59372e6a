"""The report's charts as inline SVG, coloured by the page's CSS variables to follow light and dark."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from pipelines.report.figures import Figures, Flow, Yield
from schemas.records import ROLES

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

WIDTH = 5.0
"""Inches of 72 SVG units; the page shows it at 360 to 520 pixels."""
COLOURS = {
    "ink": "#010101",
    "muted": "#020202",
    "line": "#030303",
    "accent": "#040404",
    "rest": "#050505",
    "bad": "#060606",
}
"""Names of the page's CSS variables, and the placeholder that stands for each until the SVG is written."""
_STYLE: Any = {
    "svg.fonttype": "none",
    "svg.hashsalt": "crossharm",
    "text.parse_math": False,
    "font.size": 10.5,
    "text.color": COLOURS["ink"],
    "axes.labelcolor": COLOURS["muted"],
    "axes.edgecolor": COLOURS["line"],
    "xtick.color": COLOURS["muted"],
    "ytick.color": COLOURS["ink"],
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.spines.left": False,
    "ytick.left": False,
}


def yield_bars(yields: Sequence[Yield]) -> str:
    """Bars of the share of judged candidates that are emergent, one a method."""
    with canvas(len(yields) * 0.62 + 0.65) as (figure, svg):
        axes = figure.subplots()
        shares = [line.share for line in yields]
        colours = [COLOURS["accent" if line.method == "scenario" else "rest"] for line in yields]
        axes.barh([line.title for line in yields], shares, height=0.55, color=colours)
        for row, line in enumerate(yields):
            label = f"{line.share:.1%}  ({line.emergent:,} of {line.judged:,})"
            axes.text(line.share + max(shares) * 0.02, row, label, va="center")
        axes.set_xlim(0, max(*shares, 0.001) * 2.1)
        axes.invert_yaxis()
        _percent_axis(axes, "share of judged pairs that are emergent")
    return svg[0]


def flow_bars(flows: Sequence[Flow]) -> str:
    """For every stage, which part of what came in was kept, excluded and failed."""
    with canvas(len(flows) * 0.55 + 0.15) as (figure, svg):
        axes = figure.subplots()
        for row, flow in enumerate(flows):
            start = 0.0
            for name, n in (("accent", flow.kept), ("rest", flow.excluded), ("bad", flow.failed)):
                axes.barh(row, n / (flow.entered or 1), 0.32, left=start, color=COLOURS[name])
                start += n / (flow.entered or 1)
            axes.text(0, row - 0.27, flow.stage, va="bottom", weight="bold")
            axes.text(1, row - 0.27, _flow_label(flow), va="bottom", ha="right", color=COLOURS["muted"])
        axes.set_xlim(0, 1)
        axes.set_ylim(len(flows) - 0.7, -0.85)
        axes.axis("off")
    return svg[0]


def _flow_label(flow: Flow) -> str:
    parts = [f"{flow.kept:,} of {flow.entered:,} kept"]
    parts += [f"{n:,} {name}" for name, n in (("excluded", flow.excluded), ("failed", flow.failed)) if n]
    return ", ".join(parts)


def joint_histograms(figures: Figures) -> str:
    """The distribution of p_joint for each role, with the two thresholds."""
    limits = figures.select
    marks = [
        (limits.max_benign, f"benign ≤ {limits.max_benign:g}"),
        (limits.min_joint, f"≥ {limits.min_joint:g}"),
    ]
    return _histograms(
        figures, "p_joint", (0.0, 1.0), marks, "the judge's probability that the pair is harmful"
    )


def emergence_histograms(figures: Figures) -> str:
    """The distribution of emergence for each role, with the threshold of emergent pairs."""
    values = [v for v in figures.pairs["emergence"].to_pylist() if v is not None]
    span = (min([*values, -1.0]), max([*values, 1.0]))
    limit = figures.select.min_emergence
    return _histograms(figures, "emergence", span, [(limit, f"≥ {limit:g}")], "emergence, in logits")


def _histograms(
    figures: Figures, column: str, span: tuple[float, float], marks: list[tuple[float, str]], label: str
) -> str:
    by_role = {role: _values(figures, role, column) for role in ROLES}
    shown = [role for role in ROLES if by_role[role]]
    with canvas(len(shown) * 0.78 + 0.75) as (figure, svg):
        grid = figure.subplots(len(shown), 1, sharex=True, squeeze=False)
        for row, (role, (axes,)) in enumerate(zip(shown, grid, strict=True)):
            colour = COLOURS["accent" if role == "emergent" else "rest"]
            heights, _, _ = axes.hist(by_role[role], bins=40, range=span, color=colour, histtype="stepfilled")
            axes.set_yticks([])
            axes.set_ylim(0, max(heights) * 1.05)
            axes.set_ylabel(_role_label(role, len(by_role[role])), rotation=0, ha="right", va="center")
            axes.tick_params(axis="x", length=3 if row == len(shown) - 1 else 0)
            for x, text in marks:
                axes.axvline(x, color=COLOURS["ink"], linewidth=1, linestyle=(0, (3, 3)))
                if row == 0:
                    above = axes.get_xaxis_transform()
                    axes.text(x, 1.04, text, transform=above, ha="center", color=COLOURS["muted"])
        grid[-1][0].set_xlabel(label)
    return svg[0]


def _role_label(role: str, n: int) -> str:
    return f"{role.replace('contrast_', 'contrast: ')}\n{n:,} pairs"


def _values(figures: Figures, role: str, column: str) -> list[float]:
    pairs = figures.pairs
    rows = zip(pairs["role"].to_pylist(), pairs[column].to_pylist(), strict=True)
    return [value for its_role, value in rows if its_role == role and value is not None]


def _percent_axis(axes: Axes, label: str) -> None:
    from matplotlib.ticker import MaxNLocator, PercentFormatter

    axes.xaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 5, 10]))
    axes.xaxis.set_major_formatter(PercentFormatter(1.0, decimals=0 if axes.get_xlim()[1] > 0.08 else 1))
    axes.set_xlabel(label)


@contextmanager
def canvas(height: float) -> Iterator[tuple[Figure, list[str]]]:
    """A figure to draw on; when the body is over, the list holds its SVG."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    svg: list[str] = []
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(WIDTH, height), layout="constrained")
        yield figure, svg
        out = io.StringIO()
        figure.savefig(out, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    svg.append(_inline(out.getvalue()))


def _inline(document: str) -> str:
    """Cut the XML prologue, the metadata and the fixed size, and put CSS variables for the placeholders."""
    svg = document[document.index("<svg") :]
    svg = re.sub(r"<metadata>.*?</metadata>\s*", "", svg, flags=re.DOTALL)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r"font-family: [^;\"]*|(?<=px )'DejaVu Sans'[^;\"]*", _font, svg)
    for name, placeholder in COLOURS.items():
        svg = svg.replace(placeholder, f"var(--{name})")
    return svg.strip()


def _font(match: re.Match[str]) -> str:
    return "font-family: inherit" if match.group().startswith("font-family") else "system-ui, sans-serif"
