"""The audit's part of `report.html`: made from the audit alone, and put between two marks of the page."""

from __future__ import annotations

import os
import uuid
from pathlib import Path

from pipelines.auditing.results import Report
from pipelines.auditing.wording import ending, found, limits_of

BEGIN, END = "<!-- audit -->", "<!-- /audit -->"


def section(report: Report) -> str:
    """The section as HTML that needs nothing but the report's styles; whatever comes from the data is escaped."""
    import jinja2

    from pipelines.auditing.charts import hazard_map, probe_intervals

    loader = jinja2.PackageLoader("pipelines.auditing", ".")
    environment = jinja2.Environment(
        loader=loader, autoescape=True, undefined=jinja2.StrictUndefined, trim_blocks=True, lstrip_blocks=True
    )
    charts = {"hazards": hazard_map(report.figures["hazards"])}
    if any(check.interval for check in report.checks):
        charts["probes"] = probe_intervals(report.checks)
    return environment.get_template("section.html").render(
        report=report, charts=charts, ending=ending(report), found=found, limits_of=limits_of
    )


def refresh_report(dataset: Path, report: Report) -> bool:
    """Put the section into the dataset's report, in place of an older one; False if there is no report."""
    path = dataset / "report.html"
    if not path.is_file():
        return False
    page = with_section(path.read_text(encoding="utf-8"), section(report))
    temporary = path.with_name(f".{path.name}-{uuid.uuid4().hex}.part")
    try:
        temporary.write_text(page, encoding="utf-8")
        os.replace(temporary, path)
    finally:
        temporary.unlink(missing_ok=True)
    return True


def with_section(page: str, part: str) -> str:
    """The page with the part between its marks; a page without marks gets them at its end."""
    marked = f"{BEGIN}\n{part}\n{END}"
    before, begin, rest = page.partition(BEGIN)
    _, end, after = rest.partition(END)
    if begin and end:
        return before + marked + after
    head, body, tail = page.rpartition("</body>")
    return f"{head}{marked}\n{body}{tail}"
