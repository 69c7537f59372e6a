"""The package's commands in processes of their own, forked from one that has imported the libraries already.

Importing them takes longer than most of what the tests do. The forked process runs the module as `python -m` does.
"""

from __future__ import annotations

import multiprocessing
import os
import resource
import runpy
import signal
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

ROOT = Path(__file__).parents[1]
LIBRARIES = (
    *("pipelines.run", "pipelines.release", "pipelines.report", "pipelines.calibration"),
    *("datasets", "datasketch", "faiss", "matplotlib.pyplot", "mlcroissant", "open_clip", "phonenumbers"),
    *(f"transformers.models.{name}.modeling_{name}" for name in ("bert", "internvl", "opt", "vit")),
    "transformers.models.llava.processing_llava",
)
# What torch's threads do between two kernels is decided when it is imported, by the environment of that moment.
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(list(LIBRARIES))


class Command:
    """One run of a module, as leader of a process group of its own, in the root of the repository.

    Args:
        module: Such as `pipelines.build`.
        arguments: Its command line.
        log: `LOG.out` and `LOG.err` get what it says, `LOG.peak` the most memory it held in bytes if it ends by itself.
        env: Its environment.
    """

    def __init__(self, module: str, arguments: Sequence[str], log: Path, env: Mapping[str, str]) -> None:
        self.log = log
        self._process = _context.Process(target=_run, args=(module, [*arguments], str(log), dict(env)))
        self._process.start()

    @property
    def ended(self) -> bool:
        """Whether it is over."""
        return not self._process.is_alive()

    def wait(self, seconds: float | None = None) -> int:
        """Wait for its end; the exit status, or the negative number of the signal that ended it.

        Raises:
            TimeoutError: It did not end in time.
        """
        self._process.join(seconds)
        if self._process.exitcode is None:
            raise TimeoutError(f"it has not ended after {seconds} seconds")
        return self._process.exitcode

    def kill(self) -> None:
        """`kill -9` it and its workers."""
        os.killpg(self._process.pid or 0, signal.SIGKILL)

    def interrupt(self) -> None:
        """Ctrl-C, as its terminal would send it to it and its workers."""
        os.killpg(self._process.pid or 0, signal.SIGINT)

    @property
    def said(self) -> tuple[str, str]:
        """Standard output and standard error."""
        out, err = (Path(f"{self.log}.{name}").read_text(encoding="utf-8") for name in ("out", "err"))
        return out, err

    @property
    def peak(self) -> int:
        """The most memory that the process (without its workers) held, in bytes; 0 if it was killed."""
        path = Path(f"{self.log}.peak")
        return int(path.read_text()) if path.is_file() else 0


def _run(module: str, arguments: list[str], log: str, env: dict[str, str]) -> None:
    os.setsid()
    os.chdir(ROOT)
    os.environ.clear()
    os.environ.update(env)
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(f"{log}.{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o644)
        os.dup2(file, number)
        os.close(file)
    sys.argv = [module, *arguments]
    sys.modules.pop(module, None)
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    finally:
        sys.stdout.flush()
        Path(f"{log}.peak").write_text(str(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024))
