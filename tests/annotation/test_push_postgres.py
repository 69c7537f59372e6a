from pathlib import Path

import pytest

from tests import postgres
from tests.benchmarks.push import measure
from tests.datasets import rows, write_dataset
from tests.labelstudio import Server

TOOLS = postgres.programs()


@pytest.mark.skipif(TOOLS is None, reason="PostgreSQL is not installed here")
def test_a_killed_server_with_postgresql_ends_with_every_pair_once(environment: Path, tmp_path: Path) -> None:
    dataset = write_dataset(tmp_path / "small", rows(60))
    assert TOOLS is not None
    with postgres.running(TOOLS) as address:
        server = Server(environment, tmp_path / "server", address)
        try:
            found = measure(server.start(), dataset, count=60, batch=2)
        finally:
            server.kill()

    assert (found.tasks, found.pairs) == (60, 60)
