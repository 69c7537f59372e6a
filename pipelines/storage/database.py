"""SQLite files that several processes and threads of one machine share."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Literal

BUSY_SECONDS = 60.0
"""How long a process waits for another one's write."""


def open_database(
    path: Path, schema: str, synchronous: Literal["NORMAL", "OFF"] = "NORMAL"
) -> sqlite3.Connection:
    """Open or make a database in write-ahead mode, waiting while another process does the same.

    Args:
        path: The file, made along with its directory. It must be on a disk whose locks work.
        schema: A `CREATE TABLE IF NOT EXISTS` statement.
        synchronous: `NORMAL` survives a killed process and a power cut, `OFF` the former alone.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    # Beam may set a DoFn up in one thread and run it in another.
    connection = sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)
    deadline = time.monotonic() + BUSY_SECONDS
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute(f"PRAGMA synchronous={synchronous}")
            connection.execute(schema)
            return connection
        except sqlite3.OperationalError as error:
            # Turning on WAL ignores the busy timeout, so two first users of a file can meet here.
            if "locked" not in str(error) or time.monotonic() > deadline:
                connection.close()
                raise
            time.sleep(0.02)


@contextmanager
def transaction(connection: sqlite3.Connection) -> Iterator[None]:
    """All statements of the body, or none of them."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        yield
    except BaseException:
        connection.execute("ROLLBACK")
        raise
    connection.execute("COMMIT")
