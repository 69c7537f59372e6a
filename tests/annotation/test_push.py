import csv
import hashlib
import json
import re
import resource
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from annotation.__main__ import main
from annotation.dataset import locked
from schemas.tables import adjudication_schema
from tests.annotation.faults import another_service, losing_answers
from tests.datasets import pair_id, rows, write_dataset
from tests.labelstudio import Server

ROOT = Path(__file__).parents[2]
pytestmark = pytest.mark.usefixtures("token")


def _push(dataset: Path, server: Server, *more: str, project: str = "", url: str = "") -> int:
    project = project or dataset.parent.name
    return main(["push", str(dataset), "--url", url or server.url, "--project", project, *more])


def _started(dataset: Path, server: Server, *more: str) -> subprocess.Popen[str]:
    """The same command in a process of its own."""
    project = dataset.parent.name
    command = ["-m", "annotation", "push", str(dataset), "--url", server.url, "--project", project, *more]
    return subprocess.Popen([sys.executable, *command], cwd=ROOT, stderr=subprocess.PIPE, text=True)


def _pairs(server: Server, project: str) -> list[str]:
    return [task["data"]["pair_id"] for task in server.tasks(project)]


def _counts(printed: str) -> dict[str, int]:
    """The lines of the summary."""
    found = re.findall(r"│ (.+?) +│ +([\d,]+) │", printed)
    return {name: int(count.replace(",", "")) for name, count in found}


def _wait_for_tasks(server: Server, project: str, count: int) -> None:
    until = time.monotonic() + 60
    with server.client() as owner:
        while time.monotonic() < until:
            listed = owner.get("/api/projects", params={"page_size": 1000}).json()["results"]
            if any(found["title"] == project and found["task_number"] >= count for found in listed):
                return
            time.sleep(0.02)
    raise TimeoutError(f"{project} has not got {count} tasks")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "small", rows(30))


def test_pushing_twice_sends_every_pair_once_and_the_summary_adds_up(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _push(dataset, server, "--limit", "20") == 0
    first = _counts(capsys.readouterr().out)
    assert _push(dataset, server) == 0
    second = _counts(capsys.readouterr().out)

    assert sorted(_pairs(server, dataset.parent.name)) == sorted(map(pair_id, range(30)))
    assert first == {
        "in the project already": 0,
        "sent": 20,
        "left out: beyond the limit": 10,
        "in the dataset": 30,
    }
    assert second == {"in the project already": 20, "sent": 10, "in the dataset": 30}


def test_the_uncertain_pairs_of_every_hazard_come_first(server: Server, dataset: Path) -> None:
    _push(dataset, server, "--limit", "3")

    first = set(_pairs(server, dataset.parent.name))

    assert first == {pair_id(26), pair_id(27), pair_id(25)}


def test_an_annotator_sees_both_pictures_and_the_text_but_not_the_hazard(
    server: Server, dataset: Path
) -> None:
    _push(dataset, server)
    (task, *_) = [t for t in server.tasks(dataset.parent.name) if t["data"]["pair_id"] == pair_id(7)]
    row = rows(30)[7]

    with server.client(server.sign_up(f"viewer-{dataset.parent.name}")) as annotator:
        shown = [annotator.get(task["data"][name]).content for name in ("image", "composed")]

    assert shown == [row["image"]["bytes"], row["composed"]["bytes"]]
    assert task["data"]["text"] == row["text"]
    assert set(task["data"]) == {"pair_id", "image", "composed", "text", "round", "guideline"}
    assert task["meta"] == {"hazard": row["hazard"]}


def test_pictures_can_be_shown_by_a_web_server_of_ones_own(
    server: Server, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "shown").mkdir()
    place = ["--storage", "server", "--document-root", str(tmp_path / "shown"), "--limit", "1"]
    assert _push(dataset, server, *place) == 1
    assert "--address '' is no address" in capsys.readouterr().err

    assert _push(dataset, server, *place, "--address", "https://example.org/pictures") == 0

    (task,) = server.tasks(tmp_path.name)
    shown = task["data"]["image"].removeprefix("https://example.org/pictures/")
    expected = {row["id"]: row["image"]["bytes"] for row in rows(30)}
    assert (tmp_path / "shown" / shown).read_bytes() == expected[task["data"]["pair_id"]]


def test_a_server_killed_in_the_middle_leaves_nothing_double_and_nothing_lost(
    server: Server, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "small", rows(200))
    process = _started(dataset, server, "--batch", "5")
    try:
        _wait_for_tasks(server, tmp_path.name, 30)
        server.kill()
        _, complaint = process.communicate(timeout=120)
    finally:
        process.kill()
        server.start()
    assert process.returncode == 1
    assert "give the same command again" in complaint
    assert complaint.count("\n") == 1

    assert 30 <= len(_pairs(server, tmp_path.name)) < 200
    assert _push(dataset, server) == 0
    assert sorted(_pairs(server, tmp_path.name)) == sorted(map(pair_id, range(200)))


def test_a_client_killed_in_the_middle_leaves_nothing_double_and_nothing_lost(
    server: Server, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "small", rows(100))
    with _started(dataset, server, "--batch", "2") as process:
        _wait_for_tasks(server, tmp_path.name, 10)
        process.send_signal(signal.SIGKILL)

    assert _push(dataset, server) == 0
    assert sorted(_pairs(server, tmp_path.name)) == sorted(map(pair_id, range(100)))


def test_a_batch_whose_answer_is_lost_is_found_and_not_sent_again(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = iter([False, True])

    def loses(method: str, path: str) -> bool:
        return path.endswith("/import") and next(lost, False)

    with losing_answers(server.url, loses) as url:
        status = _push(dataset, server, "--batch", "10", url=url)

    assert status == 0
    assert next(lost, None) is None
    assert sorted(_pairs(server, dataset.parent.name)) == sorted(map(pair_id, range(30)))
    assert _counts(capsys.readouterr().out)["sent"] == 30


def test_two_pushes_at_once_from_two_copies_of_a_dataset_leave_every_pair_once(
    server: Server, dataset: Path
) -> None:
    copy = shutil.copytree(dataset, dataset.parent / "copy")
    _push(dataset, server, "--limit", "1")

    processes = [_started(folder, server, "--batch", "1") for folder in (dataset, copy)]

    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    for process in processes:
        process.communicate()
    assert sorted(_pairs(server, dataset.parent.name)) == sorted(map(pair_id, range(30)))


def test_a_second_copy_of_a_task_goes_unless_it_is_annotated(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _push(dataset, server, "--limit", "3")
    with server.client() as owner:
        one, two, _ = server.tasks(dataset.parent.name)
        number = server.number(dataset.parent.name)
        doubled = [{"data": task["data"], "meta": task["meta"]} for task in (one, two)]
        owner.post(f"/api/projects/{number}/import", json=doubled).raise_for_status()
        later = server.tasks(dataset.parent.name)[-1]
        owner.post(f"/api/tasks/{later['id']}/annotations/", json={"result": [], "was_cancelled": True})

    _push(dataset, server, "--limit", "1")

    kept = [task["id"] for task in server.tasks(dataset.parent.name)]
    assert "2 tasks that showed a pair a second time were deleted" in capsys.readouterr().out
    assert one["id"] in kept
    assert later["id"] in kept
    assert two["id"] not in kept


def test_gold_is_mixed_in_and_the_server_never_learns_of_it(server: Server, dataset: Path) -> None:
    known = dataset.parent / "known.csv"
    with known.open("w", newline="") as file:
        csv.writer(file).writerows([("pair_id", "joint_harmful"), *((pair_id(n), "no") for n in range(6))])

    _push(dataset, server, "--gold", str(known), "--gold-share", "0.2")

    tasks = server.tasks(dataset.parent.name)
    gold = pq.read_table(dataset / "annotations" / "gold.parquet").to_pylist()
    places = [
        n for n, task in enumerate(tasks) if task["data"]["pair_id"] in {row["pair_id"] for row in gold}
    ]
    assert [row["joint_harmful"] for row in gold] == ["no"] * 6
    assert places == [2, 7, 12, 17, 22, 27]
    assert "gold" not in json.dumps([(task["data"], task["meta"]) for task in tasks])


def test_the_second_round_sends_what_the_first_left_open(server: Server, dataset: Path) -> None:
    _push(dataset, server)
    statuses = {pair_id(1): "settled", pair_id(2): "tie", pair_id(3): "low_confidence"}
    decided = [
        {**dict.fromkeys(adjudication_schema().names), "pair_id": pair, "status": status}
        for pair, status in statuses.items()
    ]
    table = pa.Table.from_pylist(decided, schema=adjudication_schema())
    pq.write_table(table, dataset / "annotations" / "adjudicated.parquet")

    _push(dataset, server, "--round", "2")
    _push(dataset, server, "--round", "2")

    second = [task["data"] for task in server.tasks(dataset.parent.name) if task["data"]["round"] == 2]
    assert sorted(data["pair_id"] for data in second) == sorted([pair_id(2), pair_id(3)])


def test_a_dry_run_changes_nothing_on_the_server(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _push(dataset, server, "--dry-run", "--limit", "5") == 0

    assert _counts(capsys.readouterr().out)["would be sent"] == 5
    with server.client() as owner:
        listed = owner.get("/api/projects", params={"page_size": 1000}).json()["results"]
    assert dataset.parent.name not in [found["title"] for found in listed]


def test_a_broken_picture_leaves_out_its_pair_and_is_reported(
    server: Server, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    pairs = rows(10)
    pairs[3]["image"]["bytes"] = None
    pairs[4]["composed"]["bytes"] = pairs[4]["composed"]["bytes"][:60]
    dataset = write_dataset(tmp_path / "small", pairs)

    assert _push(dataset, server) == 1

    out, complaint = capsys.readouterr()
    assert _counts(out)["left out: a picture is missing or broken"] == 2
    assert _counts(out)["sent"] == 8
    assert complaint.startswith("crossharm: 2 pairs were left out, such as ")
    assert not {pair_id(3), pair_id(4)} & set(_pairs(server, tmp_path.name))


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
    assert _push(dataset, server) == 0
    assert len(_pairs(server, tmp_path.name)) == 6


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

    assert _push(dataset, server) == 1
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
            assert _push(dataset, server, url=url) == 1
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
        assert _push(dataset, server) == 1

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

    assert _push(dataset, server, project=str(made["id"])) == 1
    assert "has labelling configuration" in capsys.readouterr().err
    assert _push(dataset, server, project="999999") == 1
    assert "there is no project number 999999" in capsys.readouterr().err


def test_a_folder_outside_the_document_root_is_refused(
    server: Server, dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _push(dataset, server, "--document-root", str(tmp_path)) == 1
    assert "must be a subdirectory of" in capsys.readouterr().err
    assert _push(dataset, server, "--document-root", str(tmp_path / "none")) == 1
    assert "is no folder of this machine" in capsys.readouterr().err


def test_a_bucket_that_the_project_has_no_storage_for_is_refused(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert _push(dataset, server, "--storage", "s3", "--document-root", "s3://mine/pairs") == 1
    assert "has no cloud storage for bucket 'mine'" in capsys.readouterr().err


def test_the_token_is_in_no_file_no_task_and_no_output(
    server: Server, token: str, dataset: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    _push(dataset, server)
    _push(dataset, server, project="999999")

    written = [path.read_bytes() for path in dataset.rglob("*") if path.is_file()]
    written += [path.read_bytes() for path in server.document_root.rglob("*") if path.is_file()]
    assert not any(token.encode() in content for content in written)
    assert token not in "".join(capfd.readouterr())
    assert token not in json.dumps(server.tasks(dataset.parent.name))


def test_a_legacy_token_is_as_good_as_a_personal_one(
    server: Server, dataset: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABEL_STUDIO_API_KEY", server.legacy_token)

    assert _push(dataset, server) == 0
    assert len(_pairs(server, dataset.parent.name)) == 30


def test_only_one_push_or_pull_at_a_time_works_on_a_dataset(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with locked(dataset):
        assert _push(dataset, server) == 1

    assert "another push or pull is at work" in capsys.readouterr().err
