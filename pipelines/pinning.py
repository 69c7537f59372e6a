"""Writes a profile whose hub models are pinned to the commits that the hub names now."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from generators.hub import HubError, described
from pipelines.checkup.models import COMMIT
from pipelines.checkup.references import ModelUse


def resolve(uses: Iterable[ModelUse], say: Callable[[str], None]) -> dict[str, tuple[str, str]]:
    """Key to path and commit of every hub model; those pinned to a commit already keep it, unasked.

    Raises:
        HubError: The hub cannot be reached, or knows no such model.
    """
    commits: dict[tuple[str, str], str] = {}
    pinned = {}
    for use in uses:
        if not use.on_hub:
            continue
        path, revision = use.settings.path, use.settings.revision
        if (path, revision) not in commits:
            say(f"commit of {path}")
            commits[path, revision] = revision if COMMIT.fullmatch(revision) else _commit(path, revision)
        pinned[use.key] = (path, commits[path, revision])
    return pinned


def _commit(path: str, revision: str) -> str:
    commit = described(path, revision).sha or ""
    if not COMMIT.fullmatch(commit):
        raise HubError(f"{path}: the hub named no commit; check HF_ENDPOINT")
    return commit


def write_pinned(profile: Path, out: Path, pinned: dict[str, tuple[str, str]]) -> None:
    """Write the profile as it was, comments included, with path and revision of every hub model."""
    import tomlkit

    document = tomlkit.parse(profile.read_text(encoding="utf-8"))
    for key, (path, commit) in pinned.items():
        table: Any = document
        for part in key.split("."):
            table = table.setdefault(part, tomlkit.table())
        table["path"], table["revision"] = path, commit
    out.parent.mkdir(parents=True, exist_ok=True)
    partial = out.with_name(f".{out.name}.part")
    partial.write_text(tomlkit.dumps(document), encoding="utf-8")
    os.replace(partial, out)
