"""The profiles that ship with the package, and the options by which a command chooses and changes one."""

from __future__ import annotations

import argparse
from pathlib import Path

PROFILES = Path(__file__).parent


def profile_names() -> list[str]:
    """The packaged profiles, sorted."""
    return sorted(path.stem for path in PROFILES.glob("*.toml"))


def profile_path(profile: str) -> Path:
    """The file of a packaged profile by its name; anything else is taken for a path."""
    named = PROFILES / f"{profile}.toml"
    return named if named.is_file() else Path(profile)


def add_profile_options(parser: argparse.ArgumentParser) -> None:
    """Add `--set` and `--work-dir`, which mean the same in every command that reads a profile."""
    parser.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="STAGE.KEY=VALUE",
        help="override one value of the profile",
    )
    parser.add_argument(
        "--work-dir",
        type=Path,
        default=Path("datasets_out/.work"),
        help="blob store, inference cache and progress, shared by builds (default: %(default)s)",
    )
