"""One push from its plan to its outcome: the project, the known answers, the queue, the pictures, the tasks."""

from __future__ import annotations

import argparse
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from annotation import pictures
from annotation.connection import NotThereError, address
from annotation.dataset import Dataset, PairSummary, locked, open_dataset
from annotation.delivery import deliver, survey
from annotation.gold import Gold, read_gold, store_gold, stored_gold
from annotation.labelling import GUIDELINE_VERSION, project_settings
from annotation.queue import Queue, left_open, queue
from annotation.studio import Studio, connect, require_configuration
from schemas.taxonomy import load_taxonomy

if TYPE_CHECKING:
    from rich.progress import Progress


class Outcome(NamedTuple):
    """What a push did, or by a dry run would do, with every pair of the dataset."""

    pairs: int
    queue: Queue
    broken: dict[str, str]
    """Pair to what is wrong with its pictures; it was not sent."""
    removed: int
    """Tasks that showed a pair a second time and were deleted."""

    @property
    def sent(self) -> int:
        """How many pairs were sent."""
        return len(self.queue.send) - len(self.broken)

    @property
    def left_out(self) -> dict[str, int]:
        """Reason to number of pairs."""
        broken = {"a picture is missing or broken": len(self.broken)} if self.broken else {}
        return {**self.queue.left_out, **broken}


def run(arguments: argparse.Namespace) -> Outcome:
    """Plan, put the pictures in place, send, and check what arrived.

    Raises:
        AnnotationError: Something that the user can put right.
        OSError: A file cannot be written.
    """
    dataset = open_dataset(arguments.dataset)
    with locked(dataset.path):
        return _push(dataset, _project(arguments), arguments)


def task(pair: PairSummary, shown: pictures.Shown, round_number: int, show_verdict: bool) -> dict[str, Any]:
    """A task as the server's import takes it; the hazard is in `meta`, which the page does not show."""
    data = {
        "pair_id": pair.id,
        **shown._asdict(),
        "text": pair.text,
        "round": round_number,
        "guideline": GUIDELINE_VERSION,
    }
    if show_verdict:
        data["verdict"] = f"The judge's probability that the two together are harmful: {pair.p_joint:.0%}"
    return {"data": data, "meta": {"hazard": pair.hazard}}


def _push(dataset: Dataset, studio: Studio | None, arguments: argparse.Namespace) -> Outcome:
    before = survey(studio, arguments.round) if studio else []
    gold = _gold(dataset, arguments)
    plan = _queue(dataset, {copy.pair for copy in before}, gold, arguments)
    if studio is None or arguments.dry_run:
        return Outcome(len(dataset.pairs), plan, {}, 0)
    if gold:
        store_gold(dataset.folder, gold)
    with _progress() as progress:
        shown, broken = _pictures(dataset, plan.send, _place(arguments, studio), progress)
        tasks = [
            task(pair, shown[pair.id], arguments.round, arguments.show_verdict)
            for pair in plan.send
            if pair.id in shown
        ]
        bar = progress.add_task("tasks", total=len(tasks))
        removed = deliver(
            studio,
            tasks,
            before,
            round_number=arguments.round,
            batch=arguments.batch,
            progress=lambda arrived: progress.update(bar, completed=arrived),
        )
    return Outcome(len(dataset.pairs), plan, broken, removed)


def _project(arguments: argparse.Namespace) -> Studio | None:
    """The project, made if need be; None for a dry run if there is none."""
    name = arguments.dataset.resolve().name
    settings = project_settings(load_taxonomy(), name, arguments.overlap or 2, arguments.show_verdict)
    try:
        project = arguments.project or settings["title"]
        studio = connect(arguments.url, project, None if arguments.dry_run else settings)
    except NotThereError:
        if arguments.dry_run and not arguments.project.isdecimal():
            return None
        raise
    require_configuration(studio, settings["label_config"])
    if arguments.overlap not in (None, studio.overlap) and not arguments.dry_run:
        studio.set_overlap(arguments.overlap)
    return studio


def _gold(dataset: Dataset, arguments: argparse.Namespace) -> Gold:
    gold = stored_gold(dataset.folder)
    if arguments.gold:
        gold |= read_gold(arguments.gold, (pair.id for pair in dataset.pairs), load_taxonomy())
    return gold


def _queue(
    dataset: Dataset, present: Collection[str], gold: Collection[str], arguments: argparse.Namespace
) -> Queue:
    return queue(
        dataset.pairs,
        dataset.threshold,
        present,
        gold=gold,
        gold_share=arguments.gold_share,
        limit=arguments.limit,
        only=left_open(dataset.folder) if arguments.round == 2 else None,
    )


def _place(arguments: argparse.Namespace, studio: Studio) -> pictures.Place:
    name, root = arguments.dataset.resolve().name, arguments.document_root
    if arguments.storage == "server":
        return pictures.Folder(Path(root), name, f"{address(arguments.address, '--address')}/")
    if arguments.storage == "local":
        folder = pictures.Folder(Path(root), name)
        studio.serve_folder(str(folder.path), name)
        return folder
    return pictures.bucket(root, arguments.storage, studio)


def _pictures(
    dataset: Dataset, send: Sequence[PairSummary], place: pictures.Place, progress: Progress
) -> tuple[dict[str, pictures.Shown], dict[str, str]]:
    bar = progress.add_task("pictures", total=len(send))
    return pictures.export(dataset.path, {pair.id for pair in send}, place, lambda: progress.advance(bar))


def _progress() -> Progress:
    from rich.console import Console
    from rich.progress import Progress

    console = Console(stderr=True)
    return Progress(console=console, transient=True, disable=not console.is_terminal)
