"""Datasets of a hub that a server on this machine plays; each is read in a process that takes it for the hub."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from datasets import Features, Image, Value

from tests.forked import ROOT
from tests.hub_server import COMMIT, TOKEN, hub_server

SCRIPT = """
import sys
from generators.corpora import SourceError, open_images
for spelled in sys.argv[1:]:
    try:
        source = open_images(spelled)
        for row in source.rows():
            data = source.read(row.locator, 100)
            print(row.provenance.source, row.provenance.name, row.provenance.licence, data.decode())
    except SourceError as error:
        print("refused:", error)
"""


def _dataset(folder: Path) -> None:
    folder.mkdir(parents=True)
    features = Features({"image": Image(), "licence": Value("string")})
    cells = [{"bytes": b"picture %d" % number, "path": None} for number in range(3)]
    table = pa.table({"image": cells, "licence": ["CC0", "CC0", "CC-BY"]}, features.arrow_schema)
    pq.write_table(table, folder / "train.parquet", row_group_size=2)


def _said(home: Path, address: str, *spelled: str, **environment: str) -> tuple[list[str], str]:
    """Lines of the standard output, and the standard error."""
    env = {name: value for name, value in os.environ.items() if not name.startswith("HF_")}
    env |= {"HF_ENDPOINT": address, "HF_HOME": str(home), "PYTHONPATH": str(ROOT)} | environment
    command = [sys.executable, "-c", SCRIPT, *spelled]
    done = subprocess.run(command, cwd=home, env=env, capture_output=True, text=True, check=True, timeout=200)
    return done.stdout.splitlines(), done.stderr


@pytest.fixture(scope="module")
def hub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with an open and a gated dataset."""
    root = tmp_path_factory.mktemp("hub")
    _dataset(root / "owner" / "open")
    _dataset(root / "owner" / "closed")
    return root


def test_what_the_hub_gives_and_why_it_refuses(hub: Path, tmp_path: Path) -> None:
    wanted = (f"open@{COMMIT}", f"closed@{COMMIT}", "open@v2", f"gone@{COMMIT}", f"open@{COMMIT}?split=test")
    with hub_server(hub, gated="owner/closed") as (address, requests):
        said, errors = _said(tmp_path, address, *(f"hf:owner/{name}" for name in wanted))
    assert said[:3] == [
        f"owner/open@{COMMIT} row {number} {licence} picture {number}"
        for number, licence in enumerate(("CC0", "CC0", "CC-BY"))
    ]
    gated, unknown, gone, split = (line.removeprefix("refused: owner/") for line in said[3:])
    assert gated.startswith(f"closed@{COMMIT} is gated") and "HF_TOKEN" in gated
    assert "Revision 'v2' doesn't exist" in unknown
    assert "owner/gone' doesn't exist" in gone
    assert split.endswith("splits: train")
    assert not [line for line in requests if line.startswith("GET") and "train.parquet 200" in line]
    assert "Traceback" not in errors


def test_a_token_of_the_environment_opens_the_gate_and_is_not_told(hub: Path, tmp_path: Path) -> None:
    with hub_server(hub, gated="owner/closed") as (address, _):
        said, errors = _said(tmp_path, address, f"hf:owner/closed@{COMMIT}", HF_TOKEN=TOKEN)
    assert len(said) == 3
    assert TOKEN not in "".join(said) + errors
    assert not [
        path for path in tmp_path.rglob("*") if path.is_file() and TOKEN.encode() in path.read_bytes()
    ]


def test_without_a_network_the_error_says_so(tmp_path: Path) -> None:
    (line,), errors = _said(tmp_path, "http://127.0.0.1:1", f"hf:owner/open@{COMMIT}", HF_HUB_OFFLINE="1")
    assert "the hub cannot be reached" in line
    assert "Traceback" not in errors


def test_a_folder_does_not_stand_in_for_the_hub(hub: Path) -> None:
    (line,), _ = _said(hub, "http://127.0.0.1:1", f"hf:owner/open@{COMMIT}")
    assert "hides the hub dataset" in line and "hf:./owner/open" in line
