"""The run that the mechanisms' runs are compared with."""

import pytest
from trl import GRPOTrainer

from pipelines.training.mechanisms.settings import Mechanisms
from tests.pipelines.training.mechanisms.runs import trained


@pytest.fixture(scope="session")
def plain(tmp_path_factory: pytest.TempPathFactory) -> GRPOTrainer:
    """Three steps with every mechanism off."""
    return trained(tmp_path_factory.mktemp("plain"), Mechanisms())
