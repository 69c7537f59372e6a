"""Worker processes, for work that holds the interpreter: threads would only wait for each other."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from multiprocessing import get_context, parent_process
from multiprocessing.util import Finalize
from threading import Thread
from typing import NamedTuple

from schemas.records import said_by

FEW = 64
"""This many items are done sooner than processes begin, which takes a second."""


class Broken(NamedTuple):
    """An error as a value: not every exception can be sent from one process to another."""

    error: str
    message: str

    @classmethod
    def of(cls, error: Exception) -> Broken:
        """What to remember of an exception."""
        return cls(type(error).__name__, said_by(error))


@cache
def process_pool(count: int) -> ProcessPoolExecutor:
    """This process's pool of `count` others, which import only what they call and end with it even if it is killed."""
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_follow)
    # A process that multiprocessing itself began would else wait for these at its end, and these for it.
    Finalize(None, pool.shutdown, exitpriority=100)
    return pool


def _follow() -> None:
    # Ctrl-C reaches all processes of a terminal; the first one decides what becomes of the others.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
