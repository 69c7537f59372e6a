"""No test reaches a model hub: a look-up that fails would otherwise retry for most of a minute."""

import os

os.environ["HF_HUB_OFFLINE"] = "1"
# The processes of a test run share the cores; with threads for all of them in each they would wait for each other.
if "PYTEST_XDIST_WORKER" in os.environ:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
