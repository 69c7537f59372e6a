"""Runs Label Studio, and ends it with the process that started it: `python -m crossharm.run start ...`."""

from __future__ import annotations

import ctypes
import signal
import sys

PR_SET_PDEATHSIG = 1
"""Of Linux's prctl(2): which signal to get when the parent ends, however it ends."""


def main() -> None:
    """Become `label-studio`."""
    if sys.platform == "linux":
        ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGTERM)
    from label_studio.server import main as label_studio

    sys.exit(label_studio())


if __name__ == "__main__":
    main()
