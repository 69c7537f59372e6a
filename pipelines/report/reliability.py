"""The reliability plot of a calibration, as an SVG that stands alone."""

from __future__ import annotations

import io
from typing import TYPE_CHECKING, Any

from pipelines.calibration import BINS, reliability

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from pipelines.calibration import Calibration, Floats


def draw_reliability(found: Calibration) -> str:
    """Share of harmful pairs over the judge's probability, before and after, with counts below."""
    import matplotlib as mpl
    from matplotlib.figure import Figure

    with mpl.rc_context({"svg.hashsalt": "crossharm", "svg.fonttype": "none", "font.size": 10}):
        figure = Figure(figsize=(8.4, 4.6), layout="constrained")
        grid = figure.subplots(2, 2, sharex=True, sharey="row", height_ratios=(4, 1))
        errors = found.errors()["expected calibration error"]
        for column, (name, p) in enumerate((("before", found.before), ("after", found.after))):
            _draw(grid[0][column], grid[1][column], p, found.labels)
            grid[0][column].set_title(f"{name}: expected calibration error {errors[column]:.3f}", fontsize=10)
        grid[0][0].set_ylabel("share that is harmful")
        grid[1][0].set_ylabel("pairs")
        out = io.StringIO()
        figure.savefig(out, format="svg", metadata={"Date": None})
    return out.getvalue()


def _draw(above: Axes, below: Axes, p: Floats, labels: Floats) -> None:
    bins = reliability(p, labels)
    centres = [(place + 0.5) / BINS for place in range(BINS)]
    options: dict[str, Any] = {"width": 0.9 / BINS, "color": "#4878a8"}
    filled = [(centre, one.harmful) for centre, one in zip(centres, bins, strict=True) if one.size]
    above.plot([0, 1], [0, 1], color="#888888", linewidth=1, linestyle="--")
    above.bar([x for x, _ in filled], [y for _, y in filled], **options)
    above.set_ylim(0, 1)
    below.bar(centres, [one.size for one in bins], **options)
    below.set_yscale("symlog")
    below.set_xlabel("the judge's probability of harm")
