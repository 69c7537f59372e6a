"""What of the libraries' logs and progress bars reaches the screen."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import TextIO


def quiet(verbose: bool) -> None:
    """Keep libraries' logs and progress bars off the screen, here and in workers, and make one line of Ctrl-C."""
    sys.excepthook = _one_line_for_ctrl_c
    level = logging.INFO if verbose else logging.ERROR
    logging.basicConfig(level=level, format="%(name)s: %(message)s", stream=sys.stderr)
    for name in ("apache_beam", "root"):
        logging.getLogger(name).setLevel(level)
    if not verbose:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("HF_DATASETS_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("DATASETS_VERBOSITY", "critical")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")


def _one_line_for_ctrl_c(
    kind: type[BaseException], error: BaseException, trace: TracebackType | None
) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.stderr.write("\ncrossharm: stopped\n")
    else:
        sys.__excepthook__(kind, error, trace)


@contextmanager
def errors_to(path: Path | None) -> Iterator[TextIO]:
    """Send the standard error of this process, and of those it starts, to a file; yields the real one.

    Beam's worker processes set up a chatty log of their own that no option reaches. If the body raises, the end of
    the file is shown. With no path nothing is redirected.
    """
    if path is None:
        yield sys.stderr
        return
    sys.stderr.flush()
    real = os.dup(2)
    with path.open("ab") as log, os.fdopen(os.dup(real), "w") as screen:
        os.dup2(log.fileno(), 2)
        try:
            yield screen
        except KeyboardInterrupt:
            raise
        except BaseException:
            screen.write("".join(path.read_text(errors="replace").splitlines(keepends=True)[-40:]))
            raise
        finally:
            os.dup2(real, 2)
            os.close(real)
