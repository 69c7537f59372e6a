"""A PostgreSQL of its own for a test, on a free port of 127.0.0.1, in a folder that is deleted with it."""

from __future__ import annotations

import os
import pwd
import secrets
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from annotation.server_process import HOST, free_port


def programs() -> Path | None:
    """The folder of PostgreSQL's programs; None if it is not installed."""
    found = shutil.which("postgres")
    installed = [Path(found).resolve().parent] if found else []
    installed += sorted(Path("/usr/lib/postgresql").glob("*/bin"), reverse=True)
    return next((folder for folder in installed if (folder / "initdb").exists()), None)


@contextmanager
def running(tools: Path) -> Iterator[str]:
    """Start an empty database server; gives the address `postgresql://...` of its database."""
    # PostgreSQL refuses to run as root, and its own user cannot enter folders that only root can.
    user = "postgres" if os.geteuid() == 0 else pwd.getpwuid(os.geteuid()).pw_name
    with tempfile.TemporaryDirectory(dir="/tmp") as place:
        folder, password, port = Path(place), secrets.token_hex(16), free_port()
        (folder / "password").write_text(password)
        for path in (folder, folder / "password"):
            shutil.chown(path, user)

        def run(*command: object) -> None:
            subprocess.run(
                [*map(str, command)], user=user, cwd=folder, check=True, stdout=subprocess.DEVNULL, env={}
            )

        initial = ("--auth=scram-sha-256", f"--pwfile={folder / 'password'}", "--username=ls")
        run(tools / "initdb", f"--pgdata={folder / 'data'}", *initial)
        options = (
            f"-c listen_addresses={HOST} -c port={port} -c unix_socket_directories={folder} -c fsync=off"
        )
        control = (tools / "pg_ctl", f"--pgdata={folder / 'data'}")
        run(*control, "start", "--wait", f"--log={folder / 'log'}", f"--options={options}")
        try:
            yield f"postgresql://ls:{password}@{HOST}:{port}/postgres"
        finally:
            run(*control, "stop", "--mode=immediate")
