"""Check a profile before a build, without downloading a model: `python -m pipelines.doctor --help`.

It looks at the profile, packages, GPU and memory, disks, models (in folders, in the hub's cache, on the hub), servers
and inputs, and says what to do next. With --pin it writes a copy of the profile with the commits of its hub models.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.checkup.findings import Finding, Status
from pipelines.logs import quiet
from pipelines.profiles import add_profile_options, profile_path
from schemas.config import BuildConfig, load_config
from schemas.profile import ConfigError

if TYPE_CHECKING:
    from rich.console import Console

COLOURS = {Status.OK: "green", Status.WARNING: "yellow", Status.MISSING: "bold red"}


def parser() -> argparse.ArgumentParser:
    """The command line."""
    parser = argparse.ArgumentParser(
        prog="python -m pipelines.doctor",
        description=__doc__,
        epilog="Exit status: 0 if a build can run, 1 if something it needs is missing.",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add("profile", help="a profile's name or the path of a TOML file")
    add(
        "--pin",
        type=Path,
        metavar="FILE",
        help="write the profile with pinned revisions there, and check nothing else",
    )
    add("--images", metavar="SRC", help="as of the build")
    add("--texts", metavar="SRC", help="as of the build")
    add("--out", type=Path, help="as of the build (default: datasets_out/NAME of the profile)")
    add_profile_options(parser)
    add("--json", action="store_true", help="print the findings as JSON")
    return parser


def main(argv: Sequence[str] | None = None) -> int:
    """Check or pin a profile; 0 if nothing that a build needs is missing, else 1."""
    arguments = parser().parse_args(argv)
    quiet(False)
    from rich.console import Console

    errors = Console(stderr=True)
    profile = profile_path(arguments.profile)
    try:
        config = load_config(profile, _overrides(arguments), unpinned=True)
        if arguments.pin:
            return _pin(profile, config, arguments.pin, errors)
    except (ValueError, OSError) as error:
        if not arguments.json or not isinstance(error, ConfigError):
            sys.stderr.write(f"crossharm: {error}\n")
            return 1
        _print([Finding("profile", str(profile), Status.MISSING, str(error), "correct the profile")], True)
        return 1
    with errors.status("looking") if errors.is_terminal else nullcontext() as status:
        findings = examine(config, arguments, lambda what: status.update(what) if status else None)
    _print(findings, arguments.json)
    return int(any(finding.status is Status.MISSING for finding in findings))


def examine(config: BuildConfig, arguments: argparse.Namespace, say: Callable[[str], None]) -> list[Finding]:
    """All findings, in the order in which they are looked at."""
    from pipelines.checkup.inputs import examine_inputs
    from pipelines.checkup.machine import examine_device, examine_disks
    from pipelines.checkup.models import examine_models, unpinned
    from pipelines.checkup.packages import examine_packages
    from pipelines.checkup.references import endpoints_of, models_of
    from pipelines.checkup.served import examine_servers
    from pipelines.notices import FOREIGN, notices

    uses = models_of(config)
    findings = [_of_profile(arguments.profile, [use.key for use in unpinned(uses)])]
    if FOREIGN in notices(config):
        todo = "name models that know your material: python -m pipelines.doctor laptop --pin laptop.toml"
        findings.append(Finding("profile", "models", Status.WARNING, FOREIGN, todo))
    say("packages")
    findings += examine_packages()
    models = examine_models([use for use in uses if use.used], say)
    say("device and disks")
    out = arguments.out or Path("datasets_out") / config.build.name
    findings += examine_device(models)
    findings += examine_disks(models, arguments.work_dir, out)
    findings += [finding for model in models for finding in model.findings]
    findings += examine_servers(endpoints_of(config), config, say)
    return findings + examine_inputs(config, say)


def _overrides(arguments: argparse.Namespace) -> list[str]:
    sources = [("images", arguments.images), ("texts", arguments.texts)]
    given = [f"{section}.source={json.dumps(source)}" for section, source in sources if source]
    return [*given, *arguments.set]


def _of_profile(profile: str, unpinned: list[str]) -> Finding:
    if unpinned:
        said = f"no revision for {', '.join(unpinned)}"
        todo = f"python -m pipelines.doctor {profile} --pin pinned.toml, then use pinned.toml"
        return Finding("profile", profile, Status.MISSING, said, todo)
    return Finding("profile", profile, Status.OK, "valid")


def _pin(profile: Path, config: BuildConfig, out: Path, errors: Console) -> int:
    from pipelines.checkup.references import models_of
    from pipelines.pinning import resolve, write_pinned

    with errors.status("asking the hub") as status:
        pinned = resolve(models_of(config), status.update)
    write_pinned(profile, out, pinned)
    load_config(out)
    for key, (path, commit) in pinned.items():
        sys.stdout.write(f"{key}: {path} at {commit}\n")
    sys.stdout.write(f"Profile: {out}\nNext:    python -m pipelines.doctor {out}\n")
    return 0


def _print(findings: list[Finding], as_json: bool) -> None:
    if as_json:
        sys.stdout.write(json.dumps([finding._asdict() for finding in findings], indent=2) + "\n")
        return
    from rich.console import Console
    from rich.markup import escape
    from rich.table import Table

    table = Table(show_lines=False)
    for heading in ("", "what", "found"):
        table.add_column(heading, overflow="fold")
    for area, name, status, said, _ in findings:
        table.add_row(f"[{COLOURS[status]}]{status}[/]", escape(f"{area}: {name}"), escape(said))
    console = Console()
    console.print(table)
    for finding in findings:
        if finding.todo:
            # Not broken into lines, so that a command can be copied.
            colour = COLOURS[finding.status]
            console.print(f"[{colour}]{escape(finding.name)}[/]: {escape(finding.todo)}", soft_wrap=True)
    counts = Counter(finding.status for finding in findings)
    console.print(", ".join(f"{counts[status]} {status}" for status in Status))


if __name__ == "__main__":
    sys.exit(main())
