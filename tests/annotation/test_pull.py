import json
import shutil
import stat
import threading
from pathlib import Path
from typing import Any

import httpx
import pyarrow.parquet as pq
import pytest

from annotation.__main__ import main
from annotation.gold import store_gold
from schemas.tables import annotation_schema
from tests.datasets import rows, write_dataset
from tests.labelstudio import Server

NO = {"image_harmful": "no", "text_harmful": "no", "joint_harmful": "no"}
YES = NO | {
    "joint_harmful": "yes",
    "hazard": "phy",
    "mechanism": "poisoning",
    "severity": "2",
    "harmed": "child",
    "rationale": "The picture shows a mushroom, and the text offers it as food.",
}


class Pushed:
    """A dataset whose pairs are in a project, and the annotators who answer."""

    def __init__(self, path: Path, server: Server) -> None:
        self.path, self.server, self.project = path, server, path.parent.name
        assert main(["push", str(path), "--url", server.url, "--project", self.project]) == 0
        self.tasks = server.tasks(self.project)

    def annotator(self, name: str) -> httpx.Client:
        return self.server.client(self.server.sign_up(f"{name}-{self.project}"))

    def pull(self, *more: str) -> int:
        return main(["pull", str(self.path), "--url", self.server.url, "--project", self.project, *more])

    def rows(self) -> list[dict[str, Any]]:
        table = pq.read_table(self.path / "annotations" / "annotations.parquet")
        assert table.schema.equals(annotation_schema())
        pulled: list[dict[str, Any]] = table.to_pylist()
        return pulled

    def rejected(self) -> list[dict[str, Any]]:
        lines = (self.path / "annotations" / "rejected.jsonl").read_text().splitlines()
        return [json.loads(line) for line in lines]


@pytest.fixture
def pushed(server: Server, token: str, tmp_path: Path) -> Pushed:
    return Pushed(write_dataset(tmp_path / "small", rows(12)), server)


def _result(answers: dict[str, str]) -> list[dict[str, Any]]:
    def value(name: str, answer: str) -> dict[str, list[str]]:
        return {"text": [answer]} if name == "rationale" else {"choices": [answer]}

    return [
        {
            "from_name": name,
            "to_name": "text" if name == "text_harmful" else "image",
            "type": "textarea" if name == "rationale" else "choices",
            "value": value(name, answer),
        }
        for name, answer in answers.items()
    ]


def _answer(person: httpx.Client, task: dict[str, Any], answers: dict[str, str], **more: Any) -> int:
    body = {"result": _result(answers), "lead_time": 4.5} | more
    answer = person.post(f"/api/tasks/{task['id']}/annotations/", json=body).raise_for_status()
    return int(answer.json()["id"])


def test_answers_arrive_as_they_were_given(pushed: Pushed) -> None:
    one, two = pushed.tasks[:2]
    drawn = {"x": 10, "y": 20, "width": 30, "height": 40, "rotation": 0}
    region = {"from_name": "region", "to_name": "image", "type": "rectangle", "value": drawn}
    with pushed.annotator("ann") as ann:
        _answer(ann, one, {}, result=[*_result(YES), region])
        _answer(ann, two, {}, result=[], was_cancelled=True)

    assert pushed.pull() == 0

    found = {row["pair_id"]: row for row in pushed.rows()}
    harmful, skipped = (found[task["data"]["pair_id"]] for task in (one, two))
    assert harmful.items() >= (YES | {"severity": 2, "seconds": 4.5, "round": 1, "guideline": "1"}).items()
    assert harmful["region"] == {"x": 0.1, "y": 0.2, "width": 0.3, "height": 0.4}
    assert (skipped["skipped"], skipped["joint_harmful"]) == (True, "")


def test_a_second_pull_brings_only_what_is_new_changed_or_deleted(
    pushed: Pushed, capsys: pytest.CaptureFixture[str]
) -> None:
    with pushed.annotator("ann") as ann, pushed.server.client() as owner:
        kept, changed, deleted = (_answer(ann, task, NO) for task in pushed.tasks[:3])
        pushed.pull()
        before = {row["id"]: row for row in pushed.rows()}
        ann.patch(f"/api/annotations/{changed}/", json={"result": _result(YES)}).raise_for_status()
        owner.delete(f"/api/annotations/{deleted}/").raise_for_status()
        _answer(ann, pushed.tasks[3], NO)
        capsys.readouterr()

        assert pushed.pull() == 0

    after = {row["id"]: row for row in pushed.rows()}
    assert "1 new, 1 updated, 1 deleted" in capsys.readouterr().out
    assert len(before) == len(after) == 3
    assert len(before.keys() & after.keys()) == 2
    assert sorted(row["joint_harmful"] for row in after.values()) == ["no", "no", "yes"]
    assert pushed.pull() == 0
    assert "0 new, 0 updated, 0 deleted" in capsys.readouterr().out
    assert kept not in (changed, deleted)


def test_a_deleted_task_goes_with_a_pull_of_everything(
    pushed: Pushed, capsys: pytest.CaptureFixture[str]
) -> None:
    with pushed.annotator("ann") as ann, pushed.server.client() as owner:
        _answer(ann, pushed.tasks[0], NO)
        pushed.pull()
        owner.delete(f"/api/tasks/{pushed.tasks[0]['id']}/").raise_for_status()

    pushed.pull()
    assert len(pushed.rows()) == 1
    pushed.pull("--all")
    assert pushed.rows() == []
    assert "0 new, 0 updated, 1 deleted" in capsys.readouterr().out


def test_pulling_while_annotators_submit_loses_and_doubles_nothing(
    server: Server, token: str, tmp_path: Path
) -> None:
    pushed = Pushed(write_dataset(tmp_path / "small", rows(24)), server)
    sent: list[tuple[str, int]] = []

    def work(person: httpx.Client, tasks: list[dict[str, Any]]) -> None:
        with person:
            sent.extend((task["data"]["pair_id"], _answer(person, task, NO)) for task in tasks)

    people = [pushed.annotator(name) for name in ("ann", "ben", "cat")]
    orders = (pushed.tasks, pushed.tasks[::-1], pushed.tasks[12:] + pushed.tasks[:12])
    threads = [threading.Thread(target=work, args=work_of) for work_of in zip(people, orders, strict=True)]
    for thread in threads:
        thread.start()
    pulls = 0
    while any(thread.is_alive() for thread in threads):
        assert pushed.pull() == 0
        pulls += 1
    pushed.pull()

    found = pushed.rows()
    assert pulls > 1
    assert len(sent) == len(found) == 72
    assert sorted(pair for pair, _ in sent) == sorted(row["pair_id"] for row in found)
    assert len({(row["pair_id"], row["annotator"]) for row in found}) == 72


def test_what_cannot_be_used_is_listed_with_a_reason_and_taken_once_it_is_corrected(
    pushed: Pushed, capsys: pytest.CaptureFixture[str]
) -> None:
    secret = "Something the annotator wrote by mistake."
    with pushed.annotator("ann") as ann:
        number = _answer(ann, pushed.tasks[0], {**YES, "rationale": secret, "hazard": "none"})
        _answer(ann, pushed.tasks[1], {"report": "report"})
        _answer(ann, pushed.tasks[2], {**YES, "rationale": ""})
        _answer(ann, pushed.tasks[3], NO)
        assert pushed.pull() == 0
        refused = {row["reason"].split(":")[0] for row in pushed.rejected()}
        assert secret not in (pushed.path / "annotations" / "rejected.jsonl").read_text()
        ann.patch(f"/api/annotations/{number}/", json={"result": _result(YES)}).raise_for_status()
        pushed.pull()

    assert refused == {
        "hazard has an answer that is not among its choices",
        "reported",
        "rationale is missing",
    }
    assert "rejected: rationale is missing" in capsys.readouterr().out
    assert len(pushed.rejected()) == len(pushed.rows()) == 2


def test_annotators_appear_under_hashes_whose_salt_only_the_owner_can_read(pushed: Pushed) -> None:
    with pushed.annotator("ann") as ann, pushed.annotator("ben") as ben:
        for person in (ann, ben):
            _answer(person, pushed.tasks[0], NO)
    pushed.pull()

    salt = pushed.path / "annotations" / "salt"
    assert stat.S_IMODE(salt.stat().st_mode) == 0o600
    assert len(salt.read_bytes()) == 32
    assert len({row["annotator"] for row in pushed.rows()}) == 2
    written = b"".join(path.read_bytes() for path in salt.parent.iterdir() if path != salt)
    assert b"example.org" not in written


def test_a_salt_that_is_gone_is_not_replaced(pushed: Pushed, capsys: pytest.CaptureFixture[str]) -> None:
    pushed.pull()
    (pushed.path / "annotations" / "salt").unlink()

    assert pushed.pull() == 1
    assert "restore it" in capsys.readouterr().err


def test_the_same_answers_give_the_same_bytes(pushed: Pushed, tmp_path: Path) -> None:
    with pushed.annotator("ann") as ann:
        for task in pushed.tasks[:4]:
            _answer(ann, task, NO)
            pushed.pull()
    folder = pushed.path / "annotations"
    step_by_step = (folder / "annotations.parquet").read_bytes()
    for name in ("annotations.parquet", "pulled.json", "rejected.jsonl"):
        (folder / name).unlink()
    shutil.copytree(pushed.path, tmp_path / "copy")

    pushed.pull()

    assert (folder / "annotations.parquet").read_bytes() == step_by_step


def test_gold_is_marked_also_on_what_was_pulled_before(pushed: Pushed) -> None:
    pair = pushed.tasks[0]["data"]["pair_id"]
    with pushed.annotator("ann") as ann:
        _answer(ann, pushed.tasks[0], NO)
    pushed.pull()
    assert [row["gold"] for row in pushed.rows()] == [False]

    row = {"pair_id": pair, "joint_harmful": "no", "image_harmful": "", "text_harmful": "", "hazard": ""}
    store_gold(pushed.path / "annotations", {pair: row})
    pushed.pull()

    assert [row["gold"] for row in pushed.rows()] == [True]


def test_a_project_of_another_configuration_is_refused(
    pushed: Pushed, capsys: pytest.CaptureFixture[str]
) -> None:
    config = '<View><Text name="t" value="$text"/></View>'
    with pushed.server.client() as owner:
        made = owner.post("/api/projects", json={"title": "another one", "label_config": config}).json()
    pushed.project = str(made["id"])

    assert pushed.pull() == 1
    assert "has labelling configuration" in capsys.readouterr().err


def test_a_damaged_file_of_an_earlier_pull_is_one_line(
    pushed: Pushed, capsys: pytest.CaptureFixture[str]
) -> None:
    pushed.pull()
    (pushed.path / "annotations" / "pulled.json").write_text("{")

    assert pushed.pull() == 1
    assert "is damaged" in (complaint := capsys.readouterr().err)
    assert complaint.count("\n") == 1
