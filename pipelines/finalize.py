"""Write a dataset again with what people said of it: `python -m pipelines.finalize --help`.

A settled pair gets people's label, hazard, mechanism and rationale, beside the machine's; a pair whose image or text
people call harmful alone goes to excluded/; a pair that nobody annotated, or on which people have not
settled, keeps the machine's label and says so. Prints how right the machine is by people's judgement.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

from pipelines.logs import quiet

if TYPE_CHECKING:
    from annotation.intervals import Rate
    from pipelines.finalized import Light
    from pipelines.precision import HumanFigures
    from pipelines.relabel import Adjudications, Fate
    from pipelines.storage.shards import ShardFile


class Decided(NamedTuple):
    """All that is known before anything is written."""

    rows: list[Light]
    """Every pair of the dataset, without pictures."""
    adjudications: Adjudications
    fates: Mapping[str, Fate]
    figures: HumanFigures
    unknown: list[str]
    """Ids of annotated pairs that are not in the dataset."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.finalize",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    add("dataset", type=Path, help="a dataset folder whose annotations were adjudicated")
    add(
        "--out",
        type=Path,
        help="folder to write; an earlier finalized dataset there is replaced (default: DATASET-final)",
    )
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Finalize; 0 if the dataset was written, 1 if rows were lost, 2 if something cannot be used."""
    arguments = parser().parse_args(argv)
    quiet(False)
    from pipelines.storage.manifest import ReconciliationError

    source = Path(os.path.abspath(arguments.dataset))
    out = Path(os.path.abspath(arguments.out or f"{source}-final"))
    try:
        decided = finalize(source, out)
    except (ValueError, OSError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 2
    except ReconciliationError as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 1
    _print(decided, out)
    return 0


def finalize(source: Path, out: Path) -> Decided:
    """Write the finalized dataset, whole or not at all, and return what it was written from.

    Args:
        source: A dataset that a build finished, with adjudicated annotations.
        out: Where the finalized one goes.

    Raises:
        ValueError: A folder cannot be used; says which and why.
        ReconciliationError: The rows do not add up; nothing is written then.
    """
    manifest = _usable(source, out)
    decided = decide(source)
    with _staged(out) as target:
        files = _write_tables(source, target, decided, manifest)
        _write_account(target, decided, manifest, files)
    return decided


def decide(source: Path) -> Decided:
    """What people's answers make of every pair of a dataset."""
    from annotation.adjudicated import read_adjudicated
    from annotation.answers import read_answers
    from pipelines.finalized import labelled, read_light
    from pipelines.precision import human_figures
    from pipelines.relabel import fates

    unknown = list(read_answers(source).unknown)
    adjudications = read_adjudicated(source)
    rows = read_light(source)
    pairs = [labelled(row) for row in rows]
    found = fates(pairs, adjudications)
    return Decided(rows, adjudications, found, human_figures(pairs, adjudications, found), unknown)


def _usable(source: Path, out: Path) -> dict[str, Any]:
    """The manifest of the dataset to finalize; ValueError if source or target cannot be used."""
    from pipelines.storage.manifest import read_manifest

    if not (source / "manifest.json").is_file():
        raise ValueError(f"{source} is not a dataset that a build finished: it has no manifest.json")
    manifest = read_manifest(source / "manifest.json")
    if "human" in manifest:
        raise ValueError(f"{source} is finalized already; finalize the dataset that it was made from")
    if out == source or source in out.parents:
        raise ValueError(f"{out} lies in the dataset itself; choose another --out")
    ours = (out / "manifest.json").is_file() and "human" in read_manifest(out / "manifest.json")
    if out.exists() and not ours:
        raise ValueError(f"{out} is there already and is no finalized dataset; choose another --out")
    return manifest


@contextmanager
def _staged(out: Path) -> Iterator[Path]:
    """A hidden folder beside `out` that takes its name when the body ends well; what a killed run left goes first."""
    out.parent.mkdir(parents=True, exist_ok=True)
    staged = out.with_name(f".{out.name}.part")
    staged.mkdir(exist_ok=True)
    lock = os.open(staged, os.O_RDONLY)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        raise ValueError(
            f"{out} is being written by another run; wait for it or choose another --out"
        ) from None
    replaced = out.with_name(f".{out.name}.old")
    try:
        _empty(staged)
        shutil.rmtree(replaced, ignore_errors=True)
        yield staged
        if out.exists():
            os.replace(out, replaced)
        os.replace(staged, out)
    finally:
        for path in (staged, replaced):
            shutil.rmtree(path, ignore_errors=True)
        os.close(lock)


def _empty(folder: Path) -> None:
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink()


def _write_tables(
    source: Path, target: Path, decided: Decided, manifest: Mapping[str, Any]
) -> list[ShardFile]:
    from rich.console import Console
    from rich.progress import track

    from pipelines import finalized
    from schemas.config import Write

    config = Write.model_validate(manifest.get("configuration", {}).get("write", {}))
    name = manifest.get("configuration", {}).get("build", {}).get("name", source.name)
    make = finalized.row_maker(decided.fates, decided.adjudications)
    shards = track(finalized.data_files(source), "writing", console=Console(stderr=True), transient=True)
    files = [finalized.write_pairs(path, target, make, config, name) for path in shards]
    dropped = finalized.exclusions(decided.rows, decided.fates)
    files += finalized.write_excluded(source, target, dropped, config)
    files += finalized.copy_failed(source, target)
    finalized.copy_annotations(source, target)
    return files


def _write_account(
    target: Path, decided: Decided, built: Mapping[str, Any], files: Sequence[ShardFile]
) -> None:
    """Write manifest, report, card and Croissant, once the rows add up.

    The build's scores were of the machine's labels, so they move to `machine_scores`.
    """
    from pipelines.release import Facts, write_description
    from pipelines.report import write_report
    from pipelines.run import ledgers_of
    from pipelines.storage.manifest import dataset_digest, require_reconciled, write_manifest

    leaving = sum(bool(fate.excluded) for fate in decided.fates.values())
    entered = len(decided.fates)
    counts = built["counts"] | {"finalize": {"in": entered, "kept": entered - leaving, "excluded": leaving}}
    ledgers = ledgers_of(target, counts)
    require_reconciled(ledgers)
    new = {
        "counts": counts,
        "rows": {one.modality: dict(zip(one._fields[1:], one[1:], strict=True)) for one in ledgers},
        "files": [file._asdict() for file in sorted(files)],
        "dataset_digest": dataset_digest(files),
        "human": {"finalized_from": built["dataset_digest"], **decided.figures.as_json()},
    }
    kept = {"machine_scores" if name == "scores" else name: value for name, value in built.items()}
    write_manifest(target / "manifest.json", kept | new)
    write_report(target)
    write_description(Facts(target))


def _print(decided: Decided, out: Path) -> None:
    from rich.console import Console
    from rich.table import Table

    from schemas.taxonomy import load_taxonomy

    figures = decided.figures
    table = Table(title="The machine by people's judgement", title_justify="left", title_style="bold")
    table.add_column("")
    for name in ("right", "settled", "precision", "95 % interval"):
        table.add_column(name, justify="right")
    table.add_row("Emergent pairs", *_cells(figures.precision))
    for hazard, one in figures.precision_by_hazard.items():
        table.add_row(f"  {load_taxonomy().hazards[hazard].title}", *_cells(one))
    table.add_row("Benign pairs", *_cells(figures.benign_precision))
    console = Console()
    console.print(table)
    for line in _lines(figures, decided.unknown, out):
        console.print(line, markup=False, highlight=False, soft_wrap=True)


def _cells(one: Rate) -> list[str]:
    if one.share is None:
        return ["-", "0", "-", "-"]
    return [f"{one.right:,}", f"{one.of:,}", f"{one.share:.1%}", f"{one.low:.1%} to {one.high:.1%}"]


def _lines(figures: HumanFigures, unknown: list[str], out: Path) -> list[str]:
    status = ", ".join(f"{count:,} {name.replace('_', ' ')}" for name, count in figures.status.items())
    changes = ", ".join(
        f"{count:,} {name.replace('_', ' ')}"
        for name, count in figures.changes.items()
        if count and name != "any"
    )
    lines = [f"Pairs: {status}", f"Changed: {figures.changes['any']:,} pairs ({changes or 'none'})"]
    if unknown:
        lines.append(
            f"Left out: annotations of {len(unknown):,} pairs that are not in the dataset: "
            f"{', '.join(id[:16] for id in unknown[:5])}{' ...' if len(unknown) > 5 else ''}"
        )
    return [*lines, f"Written: {out}", f'Load it: datasets.load_dataset("{out}")']


if __name__ == "__main__":
    sys.exit(main())
