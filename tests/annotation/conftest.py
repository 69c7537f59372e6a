"""One real Label Studio for all tests of a process; it takes half a minute to make its database."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.labelstudio import Server

ENVIRONMENT = "CROSSHARM_LABEL_STUDIO"
"""Names the virtual environment of the server, if there is one outside the usual place."""


@pytest.fixture(scope="session")
def environment() -> Path:
    """The server's virtual environment, installed if need be."""
    return Path(os.environ[ENVIRONMENT])


@pytest.fixture(scope="session")
def server(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that runs; a test that kills it must start it again."""
    started = Server(environment, tmp_path_factory.mktemp("label-studio"))
    try:
        yield started.start()
    finally:
        started.kill()


@pytest.fixture
def token(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The owner's token, set in the environment."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", server.token)
    monkeypatch.setenv("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", str(server.document_root))
    return server.token
