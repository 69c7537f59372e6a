"""The charts of an audit as inline SVG, in the colours of the report."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pipelines.auditing.results import Check
from pipelines.report.plots import COLOURS, canvas
from schemas.taxonomy import load_taxonomy


def probe_intervals(checks: Sequence[Check]) -> str:
    """AUC of each probe with its interval, over the band that its limits allow."""
    shown = [check for check in checks if check.interval is not None]
    with canvas(len(shown) * 0.42 + 0.8) as (figure, svg):
        axes = figure.subplots()
        for row, check in enumerate(shown):
            low, high = check.limit.get("at_least", 0.0), check.limit.get("at_most", 1.0)
            axes.barh(row, high - low, 0.8, left=low, color=COLOURS["line"])
            colour = COLOURS["accent" if check.passed else "bad"]
            axes.plot(check.interval or (), (row, row), color=colour, linewidth=2)
            axes.plot(check.value or 0.0, row, "o", color=colour, markersize=6)
        axes.axvline(0.5, color=COLOURS["muted"], linewidth=1, linestyle=(0, (3, 3)))
        axes.set_yticks(range(len(shown)), [_label(check.name) for check in shown])
        axes.set_ylim(len(shown) - 0.4, -0.6)
        axes.set_xlim(min(0.35, *(check.interval[0] - 0.02 for check in shown if check.interval)), 1.0)
        axes.set_xlabel("area under the ROC curve; 0.5 is chance")
    return svg[0]


def hazard_map(counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> str:
    """Emergent pairs by hazard and mechanism, all splits together, as a table of shades; an empty cell has none."""
    total = _summed(counts)
    taxonomy = load_taxonomy()
    hazards = [h for h in taxonomy.hazards if h in total] + sorted(total.keys() - taxonomy.hazards.keys())
    mechanisms = sorted({m for found in total.values() for m in found})
    most = max((n for found in total.values() for n in found.values()), default=1)
    with canvas(len(mechanisms) * 0.3 + 1.9) as (figure, svg):
        axes = figure.subplots()
        for x, hazard in enumerate(hazards):
            for mechanism, n in total[hazard].items():
                y = mechanisms.index(mechanism)
                axes.bar(x, 0.92, 0.94, bottom=y - 0.46, color=COLOURS["accent"], alpha=0.15 + 0.6 * n / most)
                axes.text(x, y, str(n), ha="center", va="center", fontsize=8.5)
        titles = [taxonomy.hazards[h].title if h in taxonomy.hazards else h for h in hazards]
        axes.set_xticks(range(len(hazards)), titles, rotation=40, ha="right", color=COLOURS["ink"])
        axes.set_yticks(range(len(mechanisms)), [m.replace("_", " ") for m in mechanisms], fontsize=9)
        axes.set_xlim(-0.6, len(hazards) - 0.4)
        axes.set_ylim(len(mechanisms) - 0.4, -0.6)
        axes.tick_params(length=0)
    return svg[0]


def _summed(counts: Mapping[str, Mapping[str, Mapping[str, int]]]) -> dict[str, dict[str, int]]:
    total: dict[str, dict[str, int]] = {}
    for table in counts.values():
        for hazard, found in table.items():
            for mechanism, n in found.items():
                row = total.setdefault(hazard, {})
                row[mechanism] = row.get(mechanism, 0) + n
    return total


def _label(name: str) -> str:
    probe, _, split = name.partition("_probe_")
    return f"{probe}, {split}"
