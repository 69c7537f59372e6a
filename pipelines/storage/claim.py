"""Which folder a build may write into: an empty one, its own from before, or one that a build was cut off in."""

from __future__ import annotations

import json
from pathlib import Path

MARK = ".crossharm-build"
"""Is in the folder while a build writes into it, and stays if the build is killed."""


def require_ours(out: Path) -> None:
    """Refuse a folder with files that no build wrote; nothing is changed.

    Raises:
        ValueError: It is such a folder, or no folder at all.
    """
    if not out.exists():
        return
    if not out.is_dir():
        raise ValueError(f"--out {out} is a file; name a folder")
    first = next((path.name for path in sorted(out.iterdir())), None)
    if first is None or (out / MARK).is_file() or _is_manifest(out / "manifest.json"):
        return
    raise ValueError(
        f"--out {out} holds files that no build wrote, such as {first!r}; name another folder, or empty this one"
    )


def claim(out: Path) -> None:
    """Make the folder and mark it as a build's."""
    out.mkdir(parents=True, exist_ok=True)
    (out / MARK).write_text(
        "A build is writing here, or was killed. The same command goes on.\n", encoding="utf-8"
    )


def release(out: Path) -> None:
    """Take the mark away: the build has finished."""
    (out / MARK).unlink(missing_ok=True)


def _is_manifest(path: Path) -> bool:
    try:
        manifest = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    # A finalized dataset has the work of people in it.
    built = {"crossharm", "configuration", "dataset_digest"}
    return isinstance(manifest, dict) and built <= set(manifest) and "human" not in manifest
