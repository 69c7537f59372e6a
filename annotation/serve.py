"""Start the annotator web UI (Label Studio) on this machine: `python -m annotation serve --help`.

The first start installs the server into an environment of its own. Everything else is in the data folder. The admin's
password is taken from CROSSHARM_ADMIN_PASSWORD, or made once and written to a file that only you can read.
"""

from __future__ import annotations

import argparse
import fcntl
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any, NoReturn

from annotation.dataset import AnnotationError
from annotation.server.crossharm.limits import Limits, format_limits, read_limits

if TYPE_CHECKING:
    from rich.console import Console

    from annotation.server_process import DataFolder, Settings
    from annotation.studio import Studio

PASSWORD = "CROSSHARM_ADMIN_PASSWORD"
POSTGRES = "CROSSHARM_POSTGRES_URL"
DAILY_CAP = 100
"""Pairs a day in a new data folder."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m annotation serve",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    add = parser.add_argument
    folder = Path("datasets_out/.annotation")
    add("--data-dir", type=Path, default=folder, help="database, pictures, log (default: %(default)s)")
    add("--port", type=_number(0, 65535), default=0, help="on 127.0.0.1 (default: a free one)")
    add("--dataset", type=Path, nargs="+", default=[], help="datasets to make a project for")
    add(
        "--overlap",
        type=_number(1, 100),
        default=2,
        help="annotators a pair in new projects (default: %(default)s)",
    )
    add("--show-verdict", action="store_true", help="show the judge's verdict, which anchors annotators")
    add(
        "--daily-cap",
        type=int,
        metavar="N",
        help=f"pairs a day and annotator; 0 is no limit (at first: {DAILY_CAP})",
    )
    add(
        "--opt-out",
        action="append",
        default=[],
        metavar="EMAIL:HAZARD,...",
        help="hazards that an annotator is not shown; no hazard takes it back",
    )
    add(
        "--postgres",
        nargs="?",
        const=POSTGRES,
        metavar="NAME",
        help=f"use the PostgreSQL whose address is in this environment variable (default: {POSTGRES})",
    )
    add("--legacy-tokens", action="store_true", help="let old clients use tokens that never expire")
    add("--open", action="store_true", help="open the address in a browser")
    environment = Path("datasets_out/.work/label-studio")
    add("--environment", type=Path, default=environment, help="of the server (default: %(default)s)")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Serve until interrupted; 0 after Ctrl-C, 1 with one line of explanation if it could not."""
    arguments = parser().parse_args(argv)
    from annotation.server_process import make_data_folder

    signal.signal(signal.SIGTERM, _interrupt)
    try:
        data = make_data_folder(arguments.data_dir)
        with _alone(data):
            _serve(data, arguments)
    except KeyboardInterrupt:
        sys.stderr.write("stopped\n")
        return 0
    except (AnnotationError, OSError) as error:
        sys.stderr.write(f"crossharm: {error}\n")
        return 1
    return 0


def changed_limits(limits: Limits, daily_cap: int | None, opt_outs: Sequence[str]) -> Limits:
    """Limits with what the command line changes in them.

    Args:
        limits: As they were.
        daily_cap: The new cap; None leaves it.
        opt_outs: `name@example.org:ssh,phy`; it replaces what this annotator opted out of before.

    Raises:
        AnnotationError: Not of this form, or no open hazard.
    """
    people = dict(limits.opt_outs)
    for text in opt_outs:
        email, _, hazards = text.strip().rpartition(":")
        people[_email(email, text)] = _hazards(hazards)
    cap = limits.daily_cap if daily_cap is None else daily_cap
    return Limits(cap, tuple(sorted((email, hazards) for email, hazards in people.items() if hazards)))


def _number(low: int, high: int) -> Callable[[str], int]:
    """A type for argparse: a whole number from `low` to `high`."""

    def number(text: str) -> int:
        if not text.isdecimal() or not low <= int(text) <= high:
            raise argparse.ArgumentTypeError(f"{text!r} is no whole number from {low} to {high}")
        return int(text)

    return number


def _email(email: str, text: str) -> str:
    if "@" not in email:
        raise AnnotationError(f"--opt-out {text!r} is not like name@example.org:ssh,phy")
    return email.strip().lower()


def _hazards(text: str) -> frozenset[str]:
    from schemas.taxonomy import load_taxonomy

    hazards = frozenset(hazard.strip() for hazard in text.split(",") if hazard.strip())
    known = load_taxonomy().open_hazards()
    if unknown := hazards - set(known):
        raise AnnotationError(
            f"--opt-out: no hazard {', '.join(sorted(unknown))}; there are {', '.join(known)}"
        )
    return hazards


def _serve(data: DataFolder, arguments: argparse.Namespace) -> None:
    from rich.console import Console

    from annotation import server_process

    _require_datasets(arguments.dataset)
    _write_limits(data, arguments)
    port = _port(arguments.port)
    settings = _settings(data, arguments)
    console = Console(stderr=True)
    _install(settings.environment, console)
    invitation = _prepare(settings, console)
    url = f"http://{server_process.HOST}:{port}"
    process = server_process.start(settings, port)
    try:
        with console.status("starting Label Studio"):
            server_process.wait_until_healthy(process, url, data.log)
        projects = _projects(url, data, arguments)
        (data.path / "address").write_text(url + "\n", encoding="utf-8")
        _announce(data, url, invitation, projects, arguments)
        _wait(process, data)
    finally:
        (data.path / "address").unlink(missing_ok=True)
        server_process.stop(process)


def _require_datasets(paths: Sequence[Path]) -> None:
    for path in paths:
        if not (path / "manifest.json").is_file():
            raise AnnotationError(f"{path} has no manifest.json: it is no finished dataset; build it first")


def _settings(data: DataFolder, arguments: argparse.Namespace) -> Settings:
    from annotation.server_process import Settings, admin_password

    address = os.environ.get(arguments.postgres, "") if arguments.postgres else ""
    if arguments.postgres and not address:
        raise AnnotationError(f"--postgres: the environment variable {arguments.postgres} is not set")
    password = admin_password(data, os.environ.get(PASSWORD))
    settings = Settings(data, arguments.environment.resolve(), password, arguments.legacy_tokens, address)
    settings.variables()
    return settings


def _write_limits(data: DataFolder, arguments: argparse.Namespace) -> None:
    try:
        before = read_limits(data.limits) if data.limits.exists() else Limits(DAILY_CAP)
    except ValueError as error:
        raise AnnotationError(f"{data.limits} is damaged: {error}") from error
    limits = changed_limits(before, arguments.daily_cap, arguments.opt_out)
    temporary = data.limits.with_suffix(".part")
    temporary.write_text(format_limits(limits), encoding="utf-8")
    temporary.replace(data.limits)


def _port(wanted: int) -> int:
    from annotation.server_process import free_port, is_taken

    if wanted and is_taken(wanted):
        raise AnnotationError(f"port {wanted} is taken; choose another with --port, or leave it out")
    return wanted or free_port()


def _install(environment: Path, console: Console) -> None:
    from rich.progress import Progress

    from annotation.environment import install, is_installed, requirements

    if is_installed(environment):
        return
    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("installing Label Studio", total=requirements().count("\n"))
        install(
            environment, lambda package: progress.update(bar, advance=1, description=f"installing {package}")
        )


def _prepare(settings: Settings, console: Console) -> str:
    from rich.progress import Progress

    from annotation.server_process import prepare

    with Progress(console=console, transient=True) as progress:
        bar = progress.add_task("preparing the database", total=None)

        def heard(event: Mapping[str, Any]) -> None:
            if event.get("migrations"):
                progress.update(bar, total=event["migrations"])
            if "applied" in event:
                progress.advance(bar)

        return prepare(settings, heard)


def _projects(url: str, data: DataFolder, arguments: argparse.Namespace) -> list[Studio]:
    """The project of every dataset, made if need be, and refused if it is of another configuration."""
    from annotation.connection import TOKEN
    from annotation.labelling import project_settings
    from annotation.studio import connect, require_configuration
    from schemas.taxonomy import load_taxonomy

    os.environ[TOKEN] = data.token.read_text(encoding="utf-8").strip()
    projects = []
    for path in arguments.dataset:
        name, verdict = path.resolve().name, arguments.show_verdict
        settings = project_settings(load_taxonomy(), name, arguments.overlap, verdict)
        project = connect(url, settings["title"], settings)
        require_configuration(project, settings["label_config"])
        projects.append(project)
    return projects


def _announce(
    data: DataFolder, url: str, invitation: str, projects: Sequence[Studio], arguments: argparse.Namespace
) -> None:
    """Say where everything is, and what to do next."""
    import webbrowser

    from rich.console import Console

    from annotation.server_process import ADMIN

    say = Console(soft_wrap=True, highlight=False, markup=False).print
    say(f"Address:    {url}")
    say(f"Admin:      {ADMIN}, password in {_where(data)}")
    say(f"Invitation: {_invitation(url, invitation, projects)}")
    for project, path in zip(projects, arguments.dataset, strict=True):
        say(f"Project {project.project_id}:  {project.title}. Send its pairs:")
        say(
            f"  LABEL_STUDIO_API_KEY=$(cat {data.token}) python -m annotation push {path} --url {url} "
            f"--document-root {data.pictures}"
        )
    say("Ctrl-C stops it.")
    if arguments.open:
        webbrowser.open(url)


def _where(data: DataFolder) -> str:
    return f"${PASSWORD}" if os.environ.get(PASSWORD) else str(data.password)


def _invitation(url: str, invitation: str, projects: Sequence[Studio]) -> str:
    """The link to sign up by; with one project it leads straight to its first task."""
    link = f"{url}/user/signup/?token={invitation}"
    if len(projects) != 1:
        return link
    return f"{link}&next=/projects/{projects[0].project_id}/data%3Flabeling%3D1"


def _wait(process: subprocess.Popen[bytes], data: DataFolder) -> None:
    from annotation.server_process import ServerError

    status = process.wait()
    raise ServerError(f"Label Studio ended by itself with status {status}; the end of {data.log} says why")


def _interrupt(number: int, frame: object) -> NoReturn:
    raise KeyboardInterrupt


@contextmanager
def _alone(data: DataFolder) -> Iterator[None]:
    """Hold the data folder; the lock ends with the process, however it ends."""
    with (data.path / ".lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise AnnotationError(f"{data.path} is served already{_at(data)}") from None
        yield


def _at(data: DataFolder) -> str:
    address = data.path / "address"
    return f" at {address.read_text(encoding='utf-8').strip()}" if address.exists() else ""
