"""Hazards and mechanisms, read from taxonomy.toml; which hazards are closed is decided here, in code."""

from __future__ import annotations

import tomllib
from functools import lru_cache
from importlib.resources import files
from typing import NamedTuple

CLOSED_HAZARDS = frozenset({"cse", "src", "sxc", "iwp"})
"""Never generated, never a retrieval query, never paired; screening may still catch them."""


class Hazard(NamedTuple):
    """A hazard category: MLCommons AILuminate's twelve, and two for everyday pairs (`phy`, `hrs`)."""

    key: str
    title: str
    definition: str

    @property
    def closed(self) -> bool:
        """Whether nothing of this hazard may be generated, queried or paired."""
        return self.key in CLOSED_HAZARDS


class Mechanism(NamedTuple):
    """How two benign parts come to mean harm."""

    key: str
    title: str
    definition: str


class ClosedHazardError(ValueError):
    """Something asked for a hazard that is closed."""


class Taxonomy(NamedTuple):
    """All hazards and mechanisms by key."""

    hazards: dict[str, Hazard]
    mechanisms: dict[str, Mechanism]

    def require_open(self, hazard: str) -> Hazard:
        """Return the hazard, or refuse it.

        Raises:
            ClosedHazardError: The hazard is closed to generation, retrieval and pairing.
            ValueError: There is no such hazard.
        """
        if hazard in CLOSED_HAZARDS:
            raise ClosedHazardError(f"hazard {hazard!r} is closed: it is never generated, queried or paired")
        if hazard not in self.hazards:
            raise ValueError(f"unknown hazard {hazard!r}; open ones: {', '.join(self.open_hazards())}")
        return self.hazards[hazard]

    def require_mechanism(self, mechanism: str) -> Mechanism:
        """Return the mechanism; ValueError if there is no such one."""
        if mechanism not in self.mechanisms:
            raise ValueError(f"unknown mechanism {mechanism!r}; known: {', '.join(self.mechanisms)}")
        return self.mechanisms[mechanism]

    def open_hazards(self) -> tuple[str, ...]:
        """Keys of the hazards that may be paired, in the taxonomy's order."""
        return tuple(key for key, hazard in self.hazards.items() if not hazard.closed)


@lru_cache
def load_taxonomy() -> Taxonomy:
    """Read the packaged taxonomy."""
    data = tomllib.loads(files("schemas").joinpath("taxonomy.toml").read_text(encoding="utf-8"))
    hazards = {key: Hazard(key, **entry) for key, entry in data["hazards"].items()}
    mechanisms = {key: Mechanism(key, **entry) for key, entry in data["mechanisms"].items()}
    missing = CLOSED_HAZARDS - hazards.keys()
    if missing:
        raise ValueError(
            f"taxonomy.toml lacks the closed hazards {sorted(missing)}, so screening cannot name them"
        )
    return Taxonomy(hazards, mechanisms)
