"""The Label Studio server's own virtual environment: its packages would downgrade ours."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from importlib.resources import files
from pathlib import Path

from annotation.dataset import AnnotationError

STAMP = ".installed"
"""Holds the digest of the requirements that the environment was made from, once it is complete."""


class InstallationError(AnnotationError):
    """The environment could not be made; the text is the whole message."""


def requirements() -> str:
    """Names and versions of the server's packages, one a line."""
    return files("annotation").joinpath("server-requirements.lock").read_text(encoding="utf-8")


def server_python(folder: Path) -> Path:
    """The interpreter of the environment in a folder."""
    return folder / ("Scripts/python.exe" if sys.platform == "win32" else "bin/python")


def is_installed(folder: Path) -> bool:
    """Whether the environment is there, complete, and of the present requirements."""
    stamp = folder / STAMP
    return (
        stamp.is_file() and stamp.read_text(encoding="utf-8") == _digest() and server_python(folder).exists()
    )


def install(folder: Path, advance: Callable[[str], None] = lambda package: None) -> None:
    """Make the environment unless it is there; two that try at once make it once.

    Args:
        folder: Where it is, or will be. An incomplete or outdated one is made anew.
        advance: Called with the name of every package that pip begins with.

    Raises:
        InstallationError: pip could not install the packages, or the folder holds something else.
    """
    folder.parent.mkdir(parents=True, exist_ok=True)
    with _alone(folder.with_name(f"{folder.name}.lock")):
        if is_installed(folder):
            return
        _remove(folder)
        venv.create(folder, with_pip=True, symlinks=os.name != "nt")
        _pip(folder, advance)
        (folder / STAMP).write_text(_digest(), encoding="utf-8")


def _digest() -> str:
    return hashlib.sha256(requirements().encode()).hexdigest()


def _remove(folder: Path) -> None:
    if folder.exists() and any(folder.iterdir()) and not (folder / "pyvenv.cfg").exists():
        raise InstallationError(f"{folder} is no virtual environment; name another folder with --environment")
    shutil.rmtree(folder, ignore_errors=True)


def _pip(folder: Path, advance: Callable[[str], None]) -> None:
    lock = folder / "requirements.lock"
    lock.write_text(requirements(), encoding="utf-8")
    command = [
        str(server_python(folder)),
        "-m",
        "pip",
        "install",
        "--disable-pip-version-check",
        "--no-input",
    ]
    process = subprocess.Popen(
        # A server imports a small part of these packages: compiling them all would be a third of the time.
        [*command, "--progress-bar", "off", "--no-compile", "--no-deps", "--requirement", str(lock)],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
    )
    assert process.stdout is not None
    said: list[str] = []
    with process:
        for line in process.stdout:
            said.append(line.strip())
            if line.startswith("Collecting "):
                advance(line.split()[1].split("==")[0])
    if process.returncode:
        why = next((line for line in reversed(said) if line.startswith("ERROR")), said[-1] if said else "")
        raise InstallationError(f"pip could not install Label Studio into {folder}: {why}")


@contextmanager
def _alone(path: Path) -> Iterator[None]:
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
