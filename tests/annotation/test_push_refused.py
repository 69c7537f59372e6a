import hashlib
import json
import resource
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from annotation.dataset import locked
from tests.annotation.faults import another_service
from tests.annotation.pushing import ROOT, counts, pairs_of, push
from tests.datasets import pair_id, rows, write_dataset
from tests.labelstudio import Server

pytestmark = pytest.mark.usefixtures("token")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "small", rows(30))


def test_a_broken_picture_leaves_out_its_pair_and_is_reported(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = rows(10)
    pairs[3]["image"]["bytes"] = None
    pairs[4]["composed"]["bytes"] = pairs[4]["composed"]["bytes"][:60]
    dataset = write_dataset(tmp_path / "small", pairs)

    assert push(dataset, server) == 1

    out, complaint = capsys.readouterr()
    assert counts(out)["left out: a picture is missing or broken"] == 2
    assert counts(out)["sent"] == 8
    assert complaint.startswith("crossharm: 2 pairs were left out, such as ")
    assert not {pair_id(3), pair_id(4)} & set(pairs_of(server, tmp_path.name))


def test_a_full_disk_is_one_line_and_a_second_push_completes(server: Server, tmp_path: Path) -> None:
    pairs = rows(6)
    pairs[2]["image"]["bytes"] += hashlib.sha512(b"").digest() * 4096
    dataset = write_dataset(tmp_path / "small", pairs)

    def small_files() -> None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, 100_000))

    done = subprocess.run(
        [
            sys.executable,
            "-m",
            "annotation",
            "push",
            dataset,
            "--url",
            server.url,
            "--project",
            tmp_path.name,
        ],
        check=False,
        cwd=ROOT,
        preexec_fn=small_files,
        capture_output=True,
        text=True,
    )

    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "File too large" in done.stderr
    assert not list(server.document_root.rglob("*.part"))
    assert push(dataset, server) == 0
    assert len(pairs_of(server, tmp_path.name)) == 6


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (lambda folder: (folder / "manifest.json").unlink(), "has no manifest.json"),
        (lambda folder: (folder / "manifest.json").write_text("{}"), "is damaged or of another program"),
        (lambda folder: shutil.rmtree(folder / "data"), "there are no shards"),
        (lambda folder: (folder / "data" / "x.parquet").write_bytes(b"PAR1"), "x.parquet cannot be read"),
    ],
)
def test_a_dataset_that_is_not_finished_is_refused(
    change: Callable[[Path], Any],
    said: str,
    server: Server,
    dataset: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    change(dataset)

    assert push(dataset, server) == 1
    assert said in (complaint := capsys.readouterr().err)
    assert complaint.count("\n") == 1


def test_a_wrong_address_is_one_line(
    server: Server, token: str, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with another_service() as other:
        said = {other: "does not answer like Label Studio", "http://127.0.0.1:9": "nothing answers at"}
        said |= {
            "localhost:8080": "is no address",
            "http://[": "is no address",
            f"http://u:{token}@127.0.0.1:9": "must hold no secrets",
        }
        for url, expected in said.items():
            assert push(dataset, server, url=url) == 1
            complaint = capsys.readouterr().err
            assert expected in complaint
            assert complaint.count("\n") == 1
            assert token not in complaint


@pytest.mark.parametrize(
    ("wrong", "said"),
    [("", "set LABEL_STUDIO_API_KEY"), ("f" * 40, "refused the token"), ("two words", "is not a token")],
)
def test_a_wrong_token_is_one_line_that_does_not_repeat_it(
    wrong: str, said: str, server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.MonkeyPatch.context() as patched:
        patched.setenv("LABEL_STUDIO_API_KEY", wrong)
        assert push(dataset, server) == 1

    complaint = capsys.readouterr().err
    assert said in complaint
    assert complaint.count("\n") == 1
    assert not wrong or wrong not in complaint


def test_a_project_of_another_configuration_is_refused(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = '<View><Text name="t" value="$text"/></View>'
    with server.client() as owner:
        made = owner.post("/api/projects", json={"title": dataset.parent.name, "label_config": config}).json()

    assert push(dataset, server, project=str(made["id"])) == 1
    assert "has labelling configuration" in capsys.readouterr().err
    assert push(dataset, server, project="999999") == 1
    assert "there is no project number 999999" in capsys.readouterr().err


def test_a_folder_outside_the_document_root_is_refused(
    server: Server, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(dataset, server, "--document-root", str(tmp_path)) == 1
    assert "must be a subdirectory of" in capsys.readouterr().err
    assert push(dataset, server, "--document-root", str(tmp_path / "none")) == 1
    assert "is no folder of this machine" in capsys.readouterr().err


def test_a_bucket_that_the_project_has_no_storage_for_is_refused(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(dataset, server, "--storage", "s3", "--document-root", "s3://mine/pairs") == 1
    assert "has no cloud storage for bucket 'mine'" in capsys.readouterr().err


def test_the_token_is_in_no_file_no_task_and_no_output(
    server: Server, token: str, dataset: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    push(dataset, server)
    push(dataset, server, project="999999")

    written = [path.read_bytes() for path in dataset.rglob("*") if path.is_file()]
    written += [path.read_bytes() for path in server.document_root.rglob("*") if path.is_file()]
    assert not any(token.encode() in content for content in written)
    assert token not in "".join(capfd.readouterr())
    assert token not in json.dumps(server.tasks(dataset.parent.name))


def test_a_legacy_token_is_as_good_as_a_personal_one(
    server: Server, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", server.legacy_token)

    assert push(dataset, server) == 0
    assert len(pairs_of(server, dataset.parent.name)) == 30


def test_only_one_push_or_pull_at_a_time_works_on_a_dataset(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(dataset):
        assert push(dataset, server) == 1

    assert "another push or pull is at work" in capsys.readouterr().err
