"""The audit of a dataset from beginning to end."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

from pipelines.auditing.coverage import check_contrast_sets, check_diversity, hazards_by_mechanism
from pipelines.auditing.integrity import check_integrity
from pipelines.auditing.leaks import check_leaks
from pipelines.auditing.limits import Limits
from pipelines.auditing.pictures import Pictures, look
from pipelines.auditing.results import KINDS, Check, Report, written_shards
from pipelines.auditing.rows import Rows
from pipelines.storage.manifest import dataset_digest
from pipelines.storage.workspace import Workspace

T = TypeVar("T")
Track = Callable[[Iterable[Any], str, int], Iterable[Any]]
"""Wraps something that is gone through; is told what it is and how many."""


DEFAULT = Limits()


def untracked(items: Iterable[T], what: str, total: int) -> Iterable[T]:
    """Show no progress."""
    return items


def audit(
    dataset: Path,
    limits: Limits = DEFAULT,
    *,
    probes: bool = True,
    track: Track = untracked,
) -> Report:
    """Audit a dataset and change nothing in it.

    Args:
        dataset: Its folder.
        limits: What is demanded.
        probes: Whether the shortcut probes, and whatever else needs embeddings, are run. Without them a report
            never counts as passed.
        track: Shows progress.

    Raises:
        UnreadableError: It is no dataset, or its shards are no Parquet files.
        ModelMissingError: Its dual encoder is not on this machine.
    """
    rows = Rows(dataset)
    digest = dataset_digest(written_shards(dataset))
    checks: list[Check] = []
    figures: dict[str, Any] = {"hazards": hazards_by_mechanism(rows)}
    with tempfile.TemporaryDirectory(prefix="crossharm-audit-") as folder:
        workspace = Workspace(folder)
        pictures = look(rows, workspace.blobs(), lambda media: track(media, "decoding", len(rows)))
        checks += check_integrity(rows, pictures)
        checks += check_leaks(rows, pictures, limits)
        checks.append(check_contrast_sets(rows, limits))
        if probes:
            checks += _embedded(
                rows, pictures, workspace, limits, figures=figures, digest=digest, track=track
            )
    checks.sort(key=lambda check: KINDS.index(check.kind))
    return Report(digest, probes, tuple(checks), figures)


def _embedded(
    rows: Rows,
    pictures: Pictures,
    workspace: Workspace,
    limits: Limits,
    *,
    figures: dict[str, Any],
    digest: str,
    track: Track,
) -> Iterator[Check]:
    """What needs vectors: diversity, whose figures are filled in, and the shortcut probes."""
    from pipelines.auditing.embeddings import embed
    from pipelines.auditing.features import make_probes
    from pipelines.auditing.probes import design_of, run_probe

    vectors = embed(rows, pictures, workspace, lambda starts: track(starts, "embedding", len(list(starts))))
    for check, found in check_diversity(rows, vectors, limits):
        figures[check.name] = found
        yield check
    design = design_of(rows, pictures.usable)
    probes = make_probes(rows, pictures, vectors)
    for probe in track(probes, "probing", len(probes)):
        yield from run_probe(probe, design, limits, digest)
