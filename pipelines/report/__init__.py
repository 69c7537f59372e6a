"""The report of a dataset folder: one HTML file that needs nothing from outside."""

from __future__ import annotations

import os
from pathlib import Path

from pipelines.report.figures import Figures
from schemas.reasons import meaning
from schemas.taxonomy import load_taxonomy


def write_report(dataset_dir: str | os.PathLike[str]) -> Path:
    """Write `report.html` into a dataset folder and return its path; same folder, same bytes.

    Raises:
        FileNotFoundError: The folder has no `manifest.json`.
    """
    path = Path(dataset_dir, "report.html")
    temporary = path.with_suffix(".part")
    temporary.write_text(render(Figures(dataset_dir)), encoding="utf-8")
    os.replace(temporary, path)
    return path


def render(figures: Figures) -> str:
    """Return the report as HTML; everything that comes from the data is escaped."""
    import jinja2

    from pipelines.report.gallery import build_gallery

    loader = jinja2.PackageLoader("pipelines.report", ".")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    environment.filters["meaning"] = meaning
    return environment.get_template("template.html").render(
        figures=figures,
        key_figures=key_figures(figures),
        charts=_charts(figures),
        mechanisms=_mechanisms(figures),
        largest=_largest(figures),
        cards=build_gallery(figures),
        taxonomy=load_taxonomy(),
        audit=_audit(figures),
    )


def _audit(figures: Figures) -> str:
    """The section of the audit that lies in the folder, if it is of these shards."""
    from pipelines.auditing.results import belongs, read_audit
    from pipelines.auditing.section import section

    report = read_audit(figures.path)
    return section(report) if report and belongs(report, figures.path) else ""


def key_figures(figures: Figures) -> list[tuple[str, str]]:
    """The few numbers that come first, each with what it counts."""
    emergent = sum(figures.roles["emergent"].values())
    used = {mechanism for counts in figures.mechanisms.values() for mechanism in counts}
    found = [
        (f"{len(figures.pairs):,}", "pairs written"),
        (f"{emergent:,}", "of them emergent"),
        (f"{len(figures.hazards)}", f"hazards, by {len(used)} mechanisms"),
    ]
    measured = {line.key: line for line in figures.scores}
    by_method = {line.method: line for line in figures.yields}
    scenario, random = by_method.get("scenario"), by_method.get("random")
    factor = scenario.factor_over(random) if scenario and random else None
    if truth := measured.get("yield_ratio"):
        found.append((truth.value, "random pairing's yield of truly emergent pairs"))
    elif scenario:
        times = f", {factor:.1f} times random pairing" if factor is not None else ""
        found.append((f"{scenario.share:.1%}", f"yield by the judge{times}"))
    precision = measured.get("precision")
    if precision:
        found.append((precision.value, "of the emergent pairs are so by the rules"))
    return found


def _mechanisms(figures: Figures) -> dict[str, dict[str, int]]:
    """Hazard to mechanism to number of emergent pairs, most frequent mechanism first."""
    by_count = {
        h: sorted(counts.items(), key=lambda x: (-x[1], x[0])) for h, counts in figures.mechanisms.items()
    }
    return {hazard: dict(counts) for hazard, counts in by_count.items()}


def _largest(figures: Figures) -> int:
    return max((n for counts in figures.mechanisms.values() for n in counts.values()), default=1)


def _charts(figures: Figures) -> dict[str, str]:
    """The charts that there is data for, as SVG."""
    from pipelines.report import plots

    charts = {}
    if figures.flows:
        charts["flow"] = plots.flow_bars(figures.flows)
    if figures.yields:
        charts["yield"] = plots.yield_bars(figures.yields)
    if len(figures.pairs):
        charts["joint"] = plots.joint_histograms(figures)
        charts["emergence"] = plots.emergence_histograms(figures)
    return charts


__all__ = ["render", "write_report"]
