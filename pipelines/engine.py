"""Which Beam runner runs: the in-process engine for `DirectRunner`, others as named, unsafe ones refused."""

from __future__ import annotations

import argparse
import logging
import os
from collections.abc import Sequence
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from apache_beam import Pipeline

MOST = 8
"""Processes of a stage; more would wait for the one that hands out the work."""
LOG = logging.getLogger(__name__)
IN_PROCESS = frozenset({"directrunner", "fnapirunner", "bundlebaseddirectrunner", "switchingdirectrunner"})


class EngineError(ValueError):
    """An engine that would lose rows, or that Beam does not know; the message says what to use instead."""


class Engine(NamedTuple):
    """A runner by name, with the Beam flags it gets."""

    runner: str
    mode: str
    workers: int
    flags: tuple[str, ...]

    @property
    def in_process(self) -> bool:
        """Whether Beam's in-process engine runs it, in this process or in worker processes of this machine."""
        return _short(self.runner) in IN_PROCESS

    @property
    def cores(self) -> int:
        """Cores that this process may use, for each worker."""
        mine = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
        return max(1, mine // self.workers)

    @property
    def processes(self) -> int:
        """Processes that a stage may begin for itself: none beside Beam's own workers, here or on a cluster."""
        return min(self.cores, MOST) if self.in_process and self.workers == 1 else 1

    @property
    def name(self) -> str:
        """The engine's name for logs and the manifest."""
        if not self.in_process:
            return self.runner
        return f"FnApiRunner ({self.mode}, {self.workers} worker{'s' if self.workers > 1 else ''})"

    def pipeline(self) -> Pipeline:
        """A pipeline that runs on this engine when it is run."""
        import apache_beam as beam
        from apache_beam.options.pipeline_options import PipelineOptions
        from apache_beam.runners.portability.fn_api_runner.fn_runner import FnApiRunner

        LOG.info("engine: %s", self.name)
        if not self.in_process:
            return beam.Pipeline(options=PipelineOptions([f"--runner={self.runner}", *self.flags]))
        # Beam's own DirectRunner would first try to download a Go engine.
        return beam.Pipeline(runner=FnApiRunner(), options=PipelineOptions(list(self.flags)))


def choose_engine(runner: str, flags: Sequence[str]) -> Engine:
    """Check the runner and Beam's flags before anything is built.

    Raises:
        EngineError: A runner or running mode that loses rows.
    """
    mode = _value(flags, "direct_running_mode", "in_memory")
    workers = _value(flags, "direct_num_workers", "1")
    if _short(runner) in {"daskrunner", "dask"}:
        raise EngineError(
            "DaskRunner (Beam 2.77) drops what a stage emits when a bundle ends, so rows would be lost; "
            "use --runner=DirectRunner --direct_running_mode=multi_processing, or a portable runner"
        )
    if mode == "multi_threading":
        raise EngineError(
            "--direct_running_mode=multi_threading (Beam 2.77) now and then loses rows without an error; "
            "use multi_processing"
        )
    if mode not in {"in_memory", "multi_processing"}:
        raise EngineError(f"--direct_running_mode={mode}: Beam knows in_memory and multi_processing")
    if not workers.isdigit() or int(workers) < 1:
        raise EngineError(f"--direct_num_workers={workers}: give a number of processes, 1 or more")
    return Engine(runner, mode, int(workers) if mode == "multi_processing" else 1, tuple(flags))


def _short(runner: str) -> str:
    """A runner's name in small letters, without the module that it may be given with."""
    return runner.rpartition(".")[2].lower()


def _value(flags: Sequence[str], name: str, default: str) -> str:
    """The value of a flag; of several the last, as Beam takes it."""
    value = default
    for index, flag in enumerate(flags):
        if flag.startswith(f"--{name}="):
            value = flag.split("=", 1)[1]
        elif flag == f"--{name}" and index + 1 < len(flags):
            value = flags[index + 1]
    return value


def check_flags(flags: Sequence[str]) -> None:
    """Refuse flags that neither this program nor Beam knows, and values that Beam cannot use.

    Raises:
        EngineError: Names the flags.
    """
    from apache_beam.options.pipeline_options import PipelineOptions, _BeamArgumentParser

    # Without exit_on_error a wrong value would print the usage of all of Beam's flags.
    parser = _BeamArgumentParser(
        add_help=False, allow_abbrev=False, conflict_handler="resolve", exit_on_error=False
    )
    for options in PipelineOptions.__subclasses__():
        options._add_argparse_args(parser)
    try:
        _, unknown = parser.parse_known_args(list(flags))
    except argparse.ArgumentError as error:
        raise EngineError(f"Beam cannot use its flags as given: {error}") from None
    if unknown:
        raise EngineError(
            f"unknown flags {' '.join(unknown)}; see --help, and Beam's documentation for its own"
        )
