"""What a check found: the matter, how it stands, and what to do next."""

from __future__ import annotations

from enum import StrEnum
from typing import NamedTuple


class Status(StrEnum):
    """How a matter stands; only `MISSING` keeps a build from running."""

    OK = "ok"
    WARNING = "warning"
    MISSING = "missing"


class Finding(NamedTuple):
    """One line of the doctor's table."""

    area: str
    """What kind of matter: profile, packages, device, disk, models, server, inputs."""
    name: str
    """Which one of them."""
    status: Status
    said: str
    todo: str = ""
    """What to do next; empty where nothing is to be done."""


def gigabytes(size: float) -> str:
    """Bytes as GB (10**9) with one decimal, as hubs and disks are labelled."""
    return f"{size / 1e9:.1f} GB"
