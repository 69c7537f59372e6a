"""The Python packages that crossharm needs, in versions that it takes, and those of its extras."""

from __future__ import annotations

from importlib import metadata
from typing import TYPE_CHECKING

from pipelines.checkup.findings import Finding, Status

if TYPE_CHECKING:
    from packaging.requirements import Requirement

DISTRIBUTION = "crossharm"


def examine_packages() -> list[Finding]:
    """What is installed, against what the installed crossharm asks for."""
    from packaging.requirements import Requirement

    try:
        requirements = [Requirement(line) for line in metadata.requires(DISTRIBUTION) or []]
        extras = sorted(metadata.metadata(DISTRIBUTION).get_all("Provides-Extra") or [])
    except metadata.PackageNotFoundError:
        todo = "install it with `make build`, or `pip install --editable .`"
        return [Finding("packages", DISTRIBUTION, Status.WARNING, "not installed, so not checked", todo)]
    asked = [r for r in requirements if _is_of(r, "")]
    wrong = [said for said in map(_wrong, asked) if said]
    if wrong:
        todo = "pip install --requirement requirements.lock"
        return [Finding("packages", DISTRIBUTION, Status.MISSING, ", ".join(wrong), todo)]
    said = [f"{len(asked)} packages in versions that fit"]
    for extra in extras:
        lacking = [r.name for r in requirements if _is_of(r, extra) and _wrong(r)]
        said.append(f"extra {extra}: {'lacks ' + ', '.join(lacking) if lacking else 'complete'}")
    return [Finding("packages", DISTRIBUTION, Status.OK, "; ".join(said))]


def _is_of(requirement: Requirement, extra: str) -> bool:
    """Whether a requirement belongs to an extra (and not to the package itself), or to the package if it is empty."""
    always = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
    if not extra:
        return always
    return not always and requirement.marker is not None and requirement.marker.evaluate({"extra": extra})


def _wrong(requirement: Requirement) -> str:
    try:
        version = metadata.version(requirement.name)
    except metadata.PackageNotFoundError:
        return f"{requirement.name}{requirement.specifier} is not installed"
    if requirement.specifier.contains(version, prereleases=True):
        return ""
    return f"{requirement.name} {version} is installed, {requirement.specifier} is needed"
