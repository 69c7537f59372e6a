"""Checks in words and numbers, as the terminal and the report show them."""

from __future__ import annotations

from pipelines.auditing.results import Check, Report


def found(check: Check) -> str:
    """What a check found, for a table."""
    if check.value is None:
        return "-"
    low_high = f" ({check.interval[0]:.3f} to {check.interval[1]:.3f})" if check.interval else ""
    return (f"{check.value:,}" if check.value == int(check.value) else f"{check.value:.3f}") + low_high


def limits_of(check: Check) -> str:
    """The limits of a check, for a table."""
    words = {
        "at_least": "≥",
        "at_most": "≤",
        "interval_at_least": "interval ≥",
        "interval_at_most": "interval ≤",
    }
    return ", ".join(f"{words[name]} {bound:g}" for name, bound in sorted(check.limit.items()))


def ending(report: Report) -> str:
    """One sentence on the whole."""
    if report.failures:
        return f"{len(report.failures)} of {len(report.checks)} checks failed."
    rest = (
        "" if report.probed else " The shortcut probes were left out, so the audit does not count as passed."
    )
    return f"All {len(report.checks)} checks passed.{rest}"
