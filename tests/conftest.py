"""No test reaches a model hub, and files whose tests take long begin first."""

import logging
import os
from pathlib import Path

import pytest

# A look-up that fails would otherwise retry for most of a minute.
os.environ["HF_HUB_OFFLINE"] = "1"
# The processes of a test run share the cores; with threads for all of them in each they would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")

LONG = (
    # The first two keep two processes busy until the Label Studio of the second is there for all.
    "pipelines/test_build.py",
    "annotation/test_browser.py",
    "pipelines/test_build_resume.py",
    "pipelines/test_build_served.py",
    "annotation/test_push_postgres.py",
    "pipelines/release/test_publish.py",
    "annotation/test_push.py",
    "pipelines/test_doctor_hub.py",
    "annotation/test_pull.py",
    "pipelines/test_build_models.py",
    "pipelines/test_build_sources.py",
    "pipelines/test_train.py",
    "generators/tinyworld/train/test_run.py",
    "benchmarks/test_gpu.py",
)
"""Files by how long they take, so that no process is left alone with one of them at the end."""


@pytest.fixture(autouse=True)
def _usual_log_levels() -> None:
    """A command that an earlier test called in this process may have raised them."""
    logging.getLogger().setLevel(logging.WARNING)
    logging.getLogger("apache_beam").setLevel(logging.NOTSET)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put the tests of these files first."""
    places = {Path(__file__).parent / name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: places.get(item.path, len(LONG)))
