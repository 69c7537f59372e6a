"""`python -m annotation`: pairs to Label Studio and back."""

from __future__ import annotations

import importlib
import sys

COMMANDS = {
    "serve": "start the annotator web UI on this machine",
    "push": "send a dataset's pairs to a project",
    "pull": "bring the annotations of a project into the dataset",
    "agreement": "measure how far the annotators agree",
    "adjudicate": "settle every pair by its annotations",
}
"""Command to what it does; each is the module of that name, with a `main(argv)`."""


def usage() -> str:
    """The text of `python -m annotation --help`."""
    lines = [f"  {name:<12}{what}" for name, what in COMMANDS.items()]
    return "\n".join(["usage: python -m annotation COMMAND [--help] ...", "", *lines])


def main(argv: list[str] | None = None) -> int:
    """Run one command; the result is its exit status, 2 for a command that does not exist."""
    arguments = sys.argv[1:] if argv is None else argv
    if not arguments or arguments[0] in ("-h", "--help"):
        sys.stdout.write(usage() + "\n")
        return 0 if arguments else 2
    name, *rest = arguments
    if name not in COMMANDS:
        sys.stderr.write(f"there is no command {name!r}\n{usage()}\n")
        return 2
    status: int = importlib.import_module(f"annotation.{name}").main(rest)
    return status


if __name__ == "__main__":
    sys.exit(main())
