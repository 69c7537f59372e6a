"""What of the libraries' logs and progress bars reaches the screen."""

from __future__ import annotations

import logging
import os
import sys


def quiet(verbose: bool) -> None:
    """Keep libraries' logs and progress bars off the screen, in this process and in its workers."""
    level = logging.INFO if verbose else logging.ERROR
    logging.basicConfig(level=level, format="%(name)s: %(message)s", stream=sys.stderr)
    for name in ("apache_beam", "root"):
        logging.getLogger(name).setLevel(level)
    if not verbose:
        os.environ.setdefault("TRANSFORMERS_VERBOSITY", "error")
        os.environ.setdefault("HF_HUB_DISABLE_PROGRESS_BARS", "1")
        os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
