import csv
import json
import shutil
import signal
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from schemas.tables import adjudication_schema
from tests.annotation.faults import losing_answers
from tests.annotation.pushing import counts, pairs_of, push, started, wait_for_tasks
from tests.datasets import pair_id, rows, write_dataset
from tests.labelstudio import Server

pytestmark = pytest.mark.usefixtures("token")


@pytest.fixture
def dataset(tmp_path: Path) -> Path:
    return write_dataset(tmp_path / "small", rows(30))


def test_pushing_twice_sends_every_pair_once_and_the_summary_adds_up(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(dataset, server, "--limit", "20") == 0
    first = counts(capsys.readouterr().out)
    assert push(dataset, server) == 0
    second = counts(capsys.readouterr().out)

    assert sorted(pairs_of(server, dataset.parent.name)) == sorted(map(pair_id, range(30)))
    assert first == {
        "in the project already": 0,
        "sent": 20,
        "left out: beyond the limit": 10,
        "in the dataset": 30,
    }
    assert second == {"in the project already": 20, "sent": 10, "in the dataset": 30}


def test_the_uncertain_pairs_of_every_hazard_come_first(server: Server, dataset: Path) -> None:
    push(dataset, server, "--limit", "3")

    first = set(pairs_of(server, dataset.parent.name))

    assert first == {pair_id(26), pair_id(27), pair_id(25)}


def test_an_annotator_sees_both_pictures_and_the_text_but_not_the_hazard(
    server: Server, dataset: Path
) -> None:
    push(dataset, server)
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
    assert push(dataset, server, *place) == 1
    assert "--address '' is no address" in capsys.readouterr().err

    assert push(dataset, server, *place, "--address", "https://example.org/pictures") == 0

    (task,) = server.tasks(tmp_path.name)
    shown = task["data"]["image"].removeprefix("https://example.org/pictures/")
    expected = {row["id"]: row["image"]["bytes"] for row in rows(30)}
    assert (tmp_path / "shown" / shown).read_bytes() == expected[task["data"]["pair_id"]]


def test_a_server_killed_in_the_middle_leaves_nothing_double_and_nothing_lost(
    server: Server, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "small", rows(200))
    process = started(dataset, server, "--batch", "5")
    try:
        wait_for_tasks(server, tmp_path.name, 30)
        server.kill()
        _, complaint = process.communicate(timeout=120)
    finally:
        process.kill()
        server.start()
    assert process.returncode == 1
    assert "give the same command again" in complaint
    assert complaint.count("\n") == 1

    assert 30 <= len(pairs_of(server, tmp_path.name)) < 200
    assert push(dataset, server) == 0
    assert sorted(pairs_of(server, tmp_path.name)) == sorted(map(pair_id, range(200)))


def test_a_client_killed_in_the_middle_leaves_nothing_double_and_nothing_lost(
    server: Server, tmp_path: Path
) -> None:
    dataset = write_dataset(tmp_path / "small", rows(100))
    with started(dataset, server, "--batch", "2") as process:
        wait_for_tasks(server, tmp_path.name, 10)
        process.send_signal(signal.SIGKILL)

    assert push(dataset, server) == 0
    assert sorted(pairs_of(server, tmp_path.name)) == sorted(map(pair_id, range(100)))


def test_a_batch_whose_answer_is_lost_is_found_and_not_sent_again(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    lost = iter([False, True])

    def loses(method: str, path: str) -> bool:
        return path.endswith("/import") and next(lost, False)

    with losing_answers(server.url, loses) as url:
        status = push(dataset, server, "--batch", "10", url=url)

    assert status == 0
    assert next(lost, None) is None
    assert sorted(pairs_of(server, dataset.parent.name)) == sorted(map(pair_id, range(30)))
    assert counts(capsys.readouterr().out)["sent"] == 30


def test_two_pushes_at_once_from_two_copies_of_a_dataset_leave_every_pair_once(
    server: Server, dataset: Path
) -> None:
    copy = shutil.copytree(dataset, dataset.parent / "copy")
    push(dataset, server, "--limit", "1")

    processes = [started(folder, server, "--batch", "1") for folder in (dataset, copy)]

    assert [process.wait(timeout=120) for process in processes] == [0, 0]
    for process in processes:
        process.communicate()
    assert sorted(pairs_of(server, dataset.parent.name)) == sorted(map(pair_id, range(30)))


def test_a_second_copy_of_a_task_goes_unless_it_is_annotated(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    push(dataset, server, "--limit", "3")
    with server.client() as owner:
        one, two, _ = server.tasks(dataset.parent.name)
        number = server.number(dataset.parent.name)
        doubled = [{"data": task["data"], "meta": task["meta"]} for task in (one, two)]
        owner.post(f"/api/projects/{number}/import", json=doubled).raise_for_status()
        later = server.tasks(dataset.parent.name)[-1]
        owner.post(f"/api/tasks/{later['id']}/annotations/", json={"result": [], "was_cancelled": True})

    push(dataset, server, "--limit", "1")

    kept = [task["id"] for task in server.tasks(dataset.parent.name)]
    assert "2 tasks that showed a pair a second time were deleted" in capsys.readouterr().out
    assert one["id"] in kept
    assert later["id"] in kept
    assert two["id"] not in kept


def test_gold_is_mixed_in_and_the_server_never_learns_of_it(server: Server, dataset: Path) -> None:
    known = dataset.parent / "known.csv"
    with known.open("w", newline="") as file:
        csv.writer(file).writerows([("pair_id", "joint_harmful"), *((pair_id(n), "no") for n in range(6))])

    push(dataset, server, "--gold", str(known), "--gold-share", "0.2")

    tasks = server.tasks(dataset.parent.name)
    gold = pq.read_table(dataset / "annotations" / "gold.parquet").to_pylist()
    places = [
        n for n, task in enumerate(tasks) if task["data"]["pair_id"] in {row["pair_id"] for row in gold}
    ]
    assert [row["joint_harmful"] for row in gold] == ["no"] * 6
    assert places == [2, 7, 12, 17, 22, 27]
    assert "gold" not in json.dumps([(task["data"], task["meta"]) for task in tasks])


def test_the_second_round_sends_what_the_first_left_open(server: Server, dataset: Path) -> None:
    push(dataset, server)
    statuses = {pair_id(1): "settled", pair_id(2): "tie", pair_id(3): "low_confidence"}
    decided = [
        {**dict.fromkeys(adjudication_schema().names), "pair_id": pair, "status": status}
        for pair, status in statuses.items()
    ]
    table = pa.Table.from_pylist(decided, schema=adjudication_schema())
    pq.write_table(table, dataset / "annotations" / "adjudicated.parquet")

    push(dataset, server, "--round", "2")
    push(dataset, server, "--round", "2")

    second = [task["data"] for task in server.tasks(dataset.parent.name) if task["data"]["round"] == 2]
    assert sorted(data["pair_id"] for data in second) == sorted([pair_id(2), pair_id(3)])


def test_a_dry_run_changes_nothing_on_the_server(
    server: Server, dataset: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert push(dataset, server, "--dry-run", "--limit", "5") == 0

    assert counts(capsys.readouterr().out)["would be sent"] == 5
    with server.client() as owner:
        listed = owner.get("/api/projects", params={"page_size": 1000}).json()["results"]
    assert dataset.parent.name not in [found["title"] for found in listed]
