"""A dataset of a few rows, as a build leaves it, and a Hub to give it to."""

from __future__ import annotations

import hashlib
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from PIL import Image

from pipelines.release import Facts, write_description
from pipelines.storage.manifest import Ledger, build_manifest, library_versions, write_manifest
from pipelines.storage.shards import ShardFile, describe, shard_path, write_shard
from schemas.canary import with_canary
from schemas.config import Build, BuildConfig
from schemas.records import ROLES
from schemas.tables import excluded_schema, failed_schema, pair_schema
from tests.hub import TOKEN, FakeHub

ROOT = Path(__file__).parents[3]
Row = dict[str, Any]


def _id(*parts: object) -> str:
    return hashlib.sha256("/".join(map(str, parts)).encode()).hexdigest()


def _picture(number: int) -> dict[str, Any]:
    out = io.BytesIO()
    Image.new("RGB", (48, 32), (number * 37 % 256, 90, 160)).save(out, "JPEG")
    return {"bytes": out.getvalue(), "path": f"{number}.jpg"}


def _pair(split: str, number: int) -> Row:
    row: Row = {field.name: None for field in pair_schema()}
    role = ROLES[number % 4]
    row |= {"id": _id(split, number), "image": _picture(number), "composed": _picture(number + 1)}
    row |= {"text": f"Look at this, number {number}.", "role": role, "label": int(role == "emergent")}
    row |= {"hazard": "phy", "mechanism": "poisoning", "contrast_group": _id(split, number // 4)}
    row |= {"method": "scenario", "judge": "tiny", "rationale": "It is poisonous." * (role == "emergent")}
    row |= {"p_image": 0.1, "p_text": 0.1, "p_joint": 0.9, "emergence": 4.4}
    for modality in ("image", "text"):
        row |= {f"{modality}_{name}": name for name in ("source", "name", "generator", "prompt")}
        row |= {f"{modality}_id": _id(modality, split, number), f"{modality}_origin": "generated"}
        row |= {f"{modality}_licence": "CC-BY-4.0", f"{modality}_seed": number}
        row |= {f"{modality}_screening": [{"member": "judge", "p": 0.1}]}
    return row


def _dropped(folder: str, number: int) -> Row:
    row = {
        "modality": "image",
        "id": _id(folder, number),
        "name": str(number),
        "stage": "screen",
        "detail": "",
    }
    if folder == "failed":
        return row | {"error": "OSError", "detail": "cannot read /home/somebody/photos/1.jpg"}
    return row | {"reason": "harmful_alone", "score": 0.9, "threshold": 0.5}


def _shard(root: Path, folder: str, kind: str, rows: list[Row]) -> ShardFile:
    schema = {
        "data": with_canary(pair_schema(), "little"),
        "excluded": excluded_schema(),
        "failed": failed_schema(),
    }
    path = shard_path(folder, kind, 0, 1)
    return describe(root, path, kind, write_shard(root / path, schema[folder], rows, 100))


def _written(root: Path) -> Path:
    files = [_shard(root, "data", split, [_pair(split, n) for n in range(8)]) for split in ("train", "test")]
    files += [
        _shard(root, kind, kind, [_dropped(kind, n) for n in range(3)]) for kind in ("excluded", "failed")
    ]
    manifest = build_manifest(
        BuildConfig(build=Build(name="little")),
        versions=library_versions(),
        engine="FnApiRunner",
        counts={"screen images": {"in": 19, "kept": 16, "excluded": 3}},
        files=files,
        ledgers=[Ledger("image", 22, 16, 3, 3), Ledger("text", 16, 16, 0, 0)],
        models={"judge": "a" * 64},
        results={"notices": ["This is a test."]},
        run={"started": 1.0},
    )
    write_manifest(root / "manifest.json", manifest)
    (root / "report.html").write_text("<p>a report</p>", encoding="utf-8")
    write_description(Facts(root))
    return root


@pytest.fixture(scope="session")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The dataset; to be copied before it is changed."""
    return _written(tmp_path_factory.mktemp("little"))


@pytest.fixture
def dataset(template: Path, tmp_path: Path) -> Path:
    """The dataset, a copy of one's own."""
    return Path(shutil.copytree(template, tmp_path / "little"))


@pytest.fixture
def change_manifest(dataset: Path) -> Callable[[Callable[[Row], object]], None]:
    """Changes the manifest of `dataset` by a function."""

    def change(by: Callable[[Row], object]) -> None:
        manifest = json.loads((dataset / "manifest.json").read_text())
        by(manifest)
        write_manifest(dataset / "manifest.json", manifest)

    return change


class Exported(NamedTuple):
    """What became of one run of the command."""

    status: int
    stdout: str
    stderr: str


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[FakeHub]:
    """The Hub, one for all tests."""
    with FakeHub(tmp_path_factory.mktemp("objects")) as hub:
        yield hub


@pytest.fixture
def hub(server: FakeHub) -> FakeHub:
    """The Hub without repositories and faults."""
    server.repos.clear()
    for path in server.folder.iterdir():
        path.unlink()
    server.restore()
    return server


@pytest.fixture(scope="session")
def environment() -> Callable[[FakeHub, Path, str], dict[str, str]]:
    """Makes what a process needs to take the server for the Hub."""
    return _environment


def _environment(hub: FakeHub, home: Path, token: str) -> dict[str, str]:
    ours = {"HF_ENDPOINT": hub.url, "HF_HUB_OFFLINE": "0", "HF_HUB_DISABLE_XET": "1", "HF_HOME": str(home)}
    return {**os.environ, **ours, "HF_TOKEN": token, "PYTHONPATH": str(ROOT), "COLUMNS": "200"}


@pytest.fixture(scope="session")
def export(server: FakeHub, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[..., Exported]]:
    """Runs the command with arguments, in a process that is started once."""
    process = subprocess.Popen(
        [sys.executable, str(Path(__file__).with_name("worker.py"))],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=_environment(server, tmp_path_factory.mktemp("home"), TOKEN),
    )
    assert process.stdin and process.stdout
    stdin, stdout = process.stdin, process.stdout

    def run(*arguments: object) -> Exported:
        print(json.dumps([str(argument) for argument in arguments]), file=stdin, flush=True)
        return Exported(*json.loads(stdout.readline()))

    yield run
    stdin.close()
    process.wait()
