"""Worker processes, for work that holds the interpreter: threads would only wait for each other."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable
from concurrent.futures import Future, ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from multiprocessing import get_context, parent_process, resource_tracker
from multiprocessing.util import Finalize
from threading import Lock, Thread
from typing import Any, Generic, NamedTuple, TypeVar

from schemas.records import said_by

R = TypeVar("R")
FEW = 64
"""This many items are done sooner than processes begin, which takes a second."""
_lock = Lock()
_pools: dict[int, ProcessPoolExecutor] = {}


class Broken(NamedTuple):
    """An error as a value: not every exception can be sent from one process to another."""

    error: str
    message: str

    @classmethod
    def of(cls, error: Exception) -> Broken:
        """What to remember of an exception."""
        return cls(type(error).__name__, said_by(error))


class Task(Generic[R]):
    """A call that runs in a worker process.

    Args:
        count: Processes of the pool that it is given to; they begin with the first call and end with this one.
        call: What is called; importable, like its arguments' classes.
        arguments: Positional ones.
    """

    def __init__(self, count: int, call: Callable[..., R], *arguments: Any) -> None:
        self._call, self._arguments = call, arguments
        self._future: Future[R] | None
        try:
            self._future = _submit(count, call, arguments)
        except BrokenProcessPool:
            self._future = None

    def result(self) -> R | Broken:
        """What the call returned; where a process died over it or beside it, it is tried again by itself."""
        if self._future is not None:
            try:
                return self._future.result()
            except BrokenProcessPool:
                _forget_broken()
        with _pool(1) as alone:
            try:
                return alone.submit(self._call, *self._arguments).result()
            except BrokenProcessPool:
                return Broken("BrokenProcessPool", "the process that worked on it died")


def _submit(count: int, call: Callable[..., R], arguments: tuple[Any, ...]) -> Future[R]:
    # Ctrl-C reaches all processes of a terminal, those that begin, too; the first one decides what becomes of them.
    with _lock:
        before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
        try:
            if count not in _pools:
                _pools[count] = _pool(count)
            return _pools[count].submit(call, *arguments)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _forget_broken() -> None:
    with _lock:
        for count, pool in list(_pools.items()):
            try:
                pool.submit(os.getpid)
            except BrokenProcessPool:
                del _pools[count]


def _pool(count: int) -> ProcessPoolExecutor:
    _begin_tracker()
    pool = ProcessPoolExecutor(count, mp_context=get_context("spawn"), initializer=_follow)
    # A process that multiprocessing itself began would else wait for these at its end, and these for it.
    Finalize(None, pool.shutdown, exitpriority=100)
    return pool


def _begin_tracker() -> None:
    """Begin multiprocessing's tracker of semaphores so that it clears up without a word after Ctrl-C."""
    sys.warnoptions.append("ignore:resource_tracker")
    try:
        resource_tracker.ensure_running()
    finally:
        sys.warnoptions.pop()


def _follow() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    Thread(target=_end_with_parent, daemon=True).start()


def _end_with_parent() -> None:
    parent = parent_process()
    assert parent is not None
    parent.join()
    os._exit(1)
