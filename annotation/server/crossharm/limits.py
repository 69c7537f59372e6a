"""Who is not shown what, and how much in a day; read again whenever the file has changed."""

from __future__ import annotations

import json
from functools import lru_cache
from pathlib import Path
from typing import NamedTuple


class Limits(NamedTuple):
    """The limits of all annotators."""

    daily_cap: int = 0
    """Tasks an annotator may answer or skip in a day (UTC); 0 is no limit."""
    opt_outs: tuple[tuple[str, frozenset[str]], ...] = ()
    """(e-mail address, hazards that its owner is not shown)."""

    def hidden_from(self, email: str) -> frozenset[str]:
        """The hazards that somebody is not shown."""
        mine = [hazards for address, hazards in self.opt_outs if address == email.strip().lower()]
        return frozenset().union(*mine)


def parse_limits(text: str) -> Limits:
    """Read `{"daily_cap": 40, "opt_outs": {"name@example.org": ["ssh"]}}`; both keys may be missing.

    Raises:
        ValueError: It is something else.
    """
    data = json.loads(text)
    try:
        cap = data.get("daily_cap", 0)
        opt_outs = data.get("opt_outs", {}).items()
        if type(cap) is not int or cap < 0 or data.keys() - {"daily_cap", "opt_outs"}:
            raise ValueError("daily_cap is a number from 0 on, and there is no other key but opt_outs")
        pairs = [(email.strip().lower(), frozenset(map(str, hazards))) for email, hazards in opt_outs]
    except (AttributeError, TypeError) as error:
        raise ValueError("opt_outs is an object: e-mail address to a list of hazards") from error
    return Limits(cap, tuple(sorted(pairs)))


def format_limits(limits: Limits) -> str:
    """The text that `parse_limits` reads."""
    opt_outs = {email: sorted(hazards) for email, hazards in limits.opt_outs}
    return json.dumps({"daily_cap": limits.daily_cap, "opt_outs": opt_outs}, indent=2) + "\n"


def read_limits(path: Path) -> Limits:
    """The limits in a file.

    Raises:
        OSError: There is no such file: without it nobody's opt-out is known, so nothing may be shown.
        ValueError: It is damaged.
    """
    return _read(path, path.stat().st_mtime_ns)


@lru_cache(maxsize=4)
def _read(path: Path, changed: int) -> Limits:
    """Keyed by time of change (nanoseconds), so that an unchanged file is read once."""
    return parse_limits(path.read_text(encoding="utf-8"))
