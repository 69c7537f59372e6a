"""Give a dataset away: `python -m pipelines.export --help`.

It is audited first. On the Hub its repository is private and gated with manual approval; `--public` shows it only
after the gate and the digests of all files were read back.
"""

from __future__ import annotations

import argparse
import datetime
import re
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.logs import quiet

if TYPE_CHECKING:
    from rich.console import Console

    from pipelines.release import Facts
    from pipelines.release.contents import ReleaseFile
    from pipelines.release.croissant import Publication

REPO = r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*"


def parser() -> argparse.ArgumentParser:
    """The command line; it has no place for a token, which is the environment's or the hub library's."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.export",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="The token is read from HF_TOKEN or from what `hf auth login` stored.",
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("dataset", type=Path, help="the folder that a build or finalize wrote")
    where = parser.add_mutually_exclusive_group(required=True)
    where.add_argument("--repo", metavar="OWNER/NAME", help="dataset repository on the Hub")
    where.add_argument(
        "--to", metavar="ADDRESS", help="a folder, or any address of fsspec (s3://..., gs://...)"
    )
    add("--public", action="store_true", help="show the repository once its gate was read back")
    add("--revision", default="main", help="branch of the repository (default: %(default)s)")
    add(
        "--skip-audit", metavar="REASON", default="", help="publish without a passed audit; the card says why"
    )
    add("--contact", default="", help="where people ask for removal, for the card")
    add("--dry-run", action="store_true", help="print what would be done, write nothing and ask no server")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Export; 0 if all of it arrived, 2 for what cannot be used, 1 for what is refused or did not work."""
    arguments = parser().parse_args(argv)
    quiet(False)
    from rich.console import Console

    from pipelines.release.contents import ReleaseError

    try:
        _check(arguments)
        _export(arguments, Console())
    except ReleaseError as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 1
    except (ValueError, OSError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 2
    return 0


def _check(arguments: argparse.Namespace) -> None:
    if arguments.repo and not re.fullmatch(REPO, arguments.repo):
        raise ValueError(f"--repo {arguments.repo!r} is not of the form owner/name")
    if arguments.to and (arguments.public or arguments.revision != "main"):
        raise ValueError("--public and --revision belong to --repo: a folder has neither a gate nor branches")
    if arguments.to and _inside(arguments.to, arguments.dataset):
        raise ValueError(f"--to {arguments.to} is inside the dataset's own folder")


def _inside(address: str, dataset: Path) -> bool:
    return "://" not in address and Path(address).resolve().is_relative_to(dataset.resolve())


def _export(arguments: argparse.Namespace, console: Console) -> None:
    from pipelines.release import Facts, Terms, write_description
    from pipelines.release.audited import require_audit

    if not (arguments.dataset / "manifest.json").is_file():
        raise FileNotFoundError(
            f"{arguments.dataset} is not a dataset that a build finished: no manifest.json"
        )
    reason = arguments.skip_audit.strip()
    if not reason:
        require_audit(arguments.dataset, run=not arguments.dry_run)
    facts = Facts(arguments.dataset, Terms(arguments.repo or "", arguments.contact, reason))
    files = _files(facts, arguments, console)
    if arguments.dry_run:
        _plan(arguments, files, console)
        return
    write_description(facts)
    _bring(arguments, files, console)


def _files(facts: Facts, arguments: argparse.Namespace, console: Console) -> list[ReleaseFile]:
    """The release, measured under a progress bar."""
    from rich.progress import Progress

    from pipelines.release.contents import contents

    with Progress(console=console, transient=True) as progress:
        task = progress.add_task("measuring", total=len(facts.figures.manifest.get("files", ())))
        return contents(facts, _publication(arguments), lambda path: progress.advance(task))


def _publication(arguments: argparse.Namespace) -> Publication | None:
    from huggingface_hub import constants

    from pipelines.release.croissant import Publication

    if not arguments.repo:
        return None
    today = datetime.datetime.now(datetime.UTC).date().isoformat()
    url = f"{constants.ENDPOINT}/datasets/{arguments.repo}"
    return Publication(url, arguments.repo.split("/")[0], today)


def _bring(arguments: argparse.Namespace, files: list[ReleaseFile], console: Console) -> None:
    """Upload or copy under a progress bar."""
    from rich.progress import BarColumn, DownloadColumn, Progress, TextColumn, TransferSpeedColumn

    columns = (TextColumn("{task.description}"), BarColumn(), DownloadColumn(), TransferSpeedColumn())
    with Progress(*columns, console=console, transient=True) as progress:
        task = progress.add_task("uploading", total=sum(file.size for file in files))
        address = _brought(arguments, files, console, lambda size: progress.advance(task, size))
    console.print(
        f"{len(files)} files, compared by their digests: {address}", soft_wrap=True, highlight=False
    )


def _brought(
    arguments: argparse.Namespace,
    files: list[ReleaseFile],
    console: Console,
    advance: Callable[[int], object],
) -> str:
    """Bring the files where they shall be, and say where that is."""
    from pipelines.release.folder import copy_release
    from pipelines.release.hub import Hub
    from pipelines.release.publish import publish

    if arguments.to:
        copy_release(arguments.to, files, advance)
        return str(arguments.to)
    hub = Hub(arguments.repo, arguments.revision)
    publish(hub, files, public=arguments.public, say=console.print, advance=advance)
    return f"{hub.url} ({'public' if arguments.public else 'private'}, gated: manual approval)"


def _plan(arguments: argparse.Namespace, files: list[ReleaseFile], console: Console) -> None:
    from rich.filesize import decimal
    from rich.table import Table

    table = Table(title="What would be given away", title_justify="left")
    table.add_column("file", overflow="fold")
    table.add_column("size", justify="right")
    table.add_column("sha256")
    for file in files:
        table.add_row(file.path, decimal(file.size), file.sha256[:16])
    table.add_section()
    table.add_row(f"{len(files)} files", decimal(sum(file.size for file in files)), "")
    console.print(table)
    for number, step in enumerate(_steps(arguments), start=1):
        console.print(f"{number}. {step}", highlight=False, soft_wrap=True)


def _steps(arguments: argparse.Namespace) -> list[str]:
    if arguments.to:
        return [f"copy the files to {arguments.to}", "read them back and compare their digests"]
    steps = [
        f"create {arguments.repo}, private, or go on with one that holds a part of these files",
        "set its gate to manual approval, and read both back",
        f"upload what is missing to {arguments.revision}",
        "compare the digest of every file with the far side",
    ]
    return [*steps, "make it public, and read back that the gate stands"] if arguments.public else steps


if __name__ == "__main__":
    sys.exit(main())
