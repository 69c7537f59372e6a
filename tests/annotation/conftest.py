"""A small dataset, and one real Label Studio for all tests of a process; its database takes half a minute to make."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotation.environment import InstallationError, install
from tests.labelstudio import Server
from tests.planted import plant_dataset

ENVIRONMENT = "CROSSHARM_LABEL_STUDIO"
"""Names the virtual environment of the server, if there is one outside the usual place."""
USUAL = Path(__file__).parents[2] / "datasets_out" / ".work" / "label-studio"


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Twenty-four pairs in six contrast groups."""
    return plant_dataset(tmp_path / "planted")


@pytest.fixture(scope="session")
def environment() -> Path:
    """The server's virtual environment, installed once, as `serve` does it."""
    folder = Path(os.environ.get(ENVIRONMENT, USUAL))
    try:
        install(folder)
    except InstallationError as error:
        pytest.skip(f"there is no Label Studio to test with: {error}")
    return folder


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
