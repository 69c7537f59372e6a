"""One real Label Studio for all tests of a process; its environment is installed once and stays."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from annotation.environment import InstallationError, install
from tests.labelstudio import Server
from tests.planted import plant_dataset

ENVIRONMENT = "CROSSHARM_LABEL_STUDIO"
"""Names the virtual environment of the server, if it shall not be where `python -m annotation serve` has it."""
USUAL = Path(__file__).parents[2] / "datasets_out" / ".work" / "label-studio"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give tests with a server time: the first of them on a machine installs it and makes its first database."""
    for item in items:
        if "environment" in getattr(item, "fixturenames", ()) and not item.get_closest_marker("timeout"):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    """Twenty-four pairs in six contrast groups."""
    return plant_dataset(tmp_path / "planted")


@pytest.fixture(scope="session")
def environment() -> Path:
    """The server's virtual environment."""
    path = Path(os.environ.get(ENVIRONMENT, USUAL)).resolve()
    try:
        install(path)
    except InstallationError as error:
        pytest.skip(f"there is no Label Studio to test with: {error}")
    return path


@pytest.fixture(scope="session")
def server(environment: Path, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A server that runs; a test that kills it must start it again."""
    made = Server(environment, tmp_path_factory.mktemp("label-studio"))
    try:
        yield made.start()
    finally:
        made.kill()


@pytest.fixture
def token(server: Server, monkeypatch: pytest.MonkeyPatch) -> str:
    """The owner's personal access token, set in the environment as a user would."""
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", server.token)
    monkeypatch.setenv("LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT", str(server.document_root))
    return server.token
