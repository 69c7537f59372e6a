"""From a dataset through real annotators in a real browser to the finished dataset, by the real commands."""

from __future__ import annotations

import json
import stat
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import datasets
import httpx
import pyarrow.parquet as pq
import pytest
from playwright.sync_api import Browser, Error, sync_playwright

from schemas.taxonomy import load_taxonomy
from tests.annotator import PASSWORD, ROOT, Annotator, Serving, Sight, run
from tests.planted import plant_dataset

CHROMIUM = Path("/usr/bin/chromium")
WHY = {
    "ada": "The picture shows a hot thing, and the text says that it is nice to touch.",
    "bob": "In the picture something is hot; the text wants it touched.",
}
HARMFUL = ("2", "5", "7", "a", "Shift+E", "c", "d")
"""Benign apart, harmful together: physical danger by burn or shock, serious, to whoever follows it."""
BENIGN = ("2", "5", "8")


class Story(NamedTuple):
    """Everything that happened, to be looked at."""

    serving: Serving
    dataset: Path
    pushed: str
    blurred: list[Sight]
    shown: list[Sight]
    guidelines: str
    asked: list[str]
    refused: dict[str, int]
    """What an annotator asked the server for beside the page: path to status."""
    printed: str
    """What all commands after the annotation printed."""

    @property
    def final(self) -> Path:
        """The finished dataset."""
        return self.dataset.with_name(f"{self.dataset.name}-final")

    def annotations(self) -> list[dict[str, Any]]:
        """The rows that were pulled."""
        rows: list[dict[str, Any]] = pq.read_table(
            self.dataset / "annotations" / "annotations.parquet"
        ).to_pylist()
        return rows


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Chromium of this machine."""
    if not CHROMIUM.exists():
        pytest.skip(f"there is no {CHROMIUM} to see the annotator's page with")
    with sync_playwright() as playwright:
        try:
            started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        except Error as error:
            pytest.skip(f"{CHROMIUM} does not start: {error}")
        yield started
        started.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Thirty-two pairs."""
    path = plant_dataset(tmp_path_factory.mktemp("browser") / "planted", groups=8)
    manifest = json.loads((path / "manifest.json").read_text(encoding="utf-8"))
    manifest["configuration"]["select"] = {"min_joint": 0.9}
    (path / "manifest.json").write_text(json.dumps(manifest), encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def serving(source: Path, environment: Path) -> Iterator[Serving]:
    """The server, with a daily cap of three, and annotators who opted out of two hazards."""
    options = ["--daily-cap=3", "--opt-out=ada@example.org:prv,ncr", "--opt-out=bob@example.org:prv,ncr"]
    serving = Serving(source.with_name("studio"), environment, f"--dataset={source}", "--overlap=2", *options)
    try:
        yield serving.wait()
    finally:
        serving.kill()


@pytest.fixture(scope="module")
def story(serving: Serving, source: Path, browser: Browser) -> Story:
    """Two people annotate three pairs each; then come pull, agreement, adjudicate and finalize."""
    url, token = serving.told("Address"), {"LABEL_STUDIO_API_KEY": serving.token}
    pushed = run(
        "annotation push",
        str(source),
        f"--url={url}",
        f"--document-root={serving.data / 'pictures'}",
        **token,
    )
    people = [annotate(Annotator(browser, serving, name), why) for name, why in WHY.items()]
    printed = run("annotation pull", str(source), f"--url={url}", **token)
    for command in ("annotation agreement", "annotation adjudicate", "pipelines.finalize"):
        printed += run(command, str(source))
    ada = people[0][0]
    return Story(
        serving,
        source,
        pushed,
        [person[1] for person in people],
        [person[2] for person in people],
        ada.guidelines,
        [address for person in people for address in person[0].asked],
        probe(ada, serving),
        printed,
    )


def annotate(person: Annotator, why: str) -> tuple[Annotator, Sight, Sight]:
    """Find one pair harmful and say why, one benign, and skip one."""
    person.begin()
    blurred = person.sight()
    person.press("0")
    shown = person.sight()
    person.press(HARMFUL)
    person.say_why(why)
    person.draw(0.25, 0.25, 0.75, 0.5)
    person.finish("Submit")
    person.press(BENIGN)
    person.finish("Submit")
    person.finish("Skip", last=True)
    return person, blurred, shown


def probe(person: Annotator, serving: Serving) -> dict[str, int]:
    """Ask the server, as an annotator after a full day, for what annotators are not to have."""
    url, ask = serving.told("Address"), person.context.request
    everything = serving.tasks()
    opted_out = next(task["id"] for task in everything if task["meta"]["hazard"] == "prv")
    other = next(task["id"] for task in reversed(everything) if task["meta"]["hazard"] == "phy")
    paths = ("tasks/1/annotations/", "projects/1/export", "projects/1/next", "invite", f"tasks/{opted_out}")
    found = {path: ask.get(f"{url}/api/{path}").status for path in paths}
    found["rename"] = ask.patch(f"{url}/api/projects/1", data={"title": "mine now"}).status
    found["answer"] = ask.post(f"{url}/api/tasks/{other}/annotations/", data={"result": []}).status
    found["opted out"] = ask.post(f"{url}/api/tasks/{opted_out}/annotations/", data={"result": []}).status
    assert ask.get(f"{url}/api/tasks/{other}").status == 404, "a task that was given to nobody yet"
    listed = ask.get(f"{url}/api/tasks?project=1&fields=all&page_size=100").json()["tasks"]
    assert len(listed) == 3, "annotators see what they were given"
    assert not any("meta" in task for task in listed)
    assert all(len(task["annotations"]) <= 1 for task in listed), "others answered these, too"
    return found


def test_the_rationale_typed_in_the_browser_is_in_the_shard_that_datasets_loads(
    story: Story, tmp_path: Path
) -> None:
    (pair,) = {row["pair_id"] for row in story.annotations() if row["joint_harmful"] == "yes"}
    pairs = datasets.load_dataset(str(story.final), cache_dir=str(tmp_path / "cache"))
    (row,) = (row for split in pairs.values() for row in split if row["id"] == pair)
    assert (row["label"], row["labelled_by"], row["hazard"]) == (1, "people", "phy")
    assert row["rationale"] in WHY.values()
    assert {vote["joint"] for vote in row["votes"]} == {"yes"}


def test_every_answer_arrives_as_it_was_given(story: Story) -> None:
    rows = story.annotations()
    assert len(rows) == 6
    harmful = [row for row in rows if row["joint_harmful"] == "yes"]
    given = {(r["hazard"], r["mechanism"], r["severity"], r["harmed"], r["image_harmful"]) for r in harmful}
    assert given == {("phy", "burn_or_shock", 3, "reader", "no")}
    assert {row["rationale"] for row in harmful} == set(WHY.values())
    assert sum(row["skipped"] for row in rows) == 2
    assert len({row["annotator"] for row in rows}) == 2


def test_a_box_drawn_in_the_picture_arrives_as_shares_of_its_sides(story: Story) -> None:
    for row in story.annotations():
        if row["joint_harmful"] == "yes":
            box = row["region"]
            assert [box["x"], box["y"], box["width"], box["height"]] == pytest.approx(
                [0.25, 0.25, 0.5, 0.25], abs=0.03
            )


def test_both_pictures_are_blurred_until_asked_for(story: Story) -> None:
    for sight in story.blurred:
        assert len(sight.filters) >= 2
        assert all("blur" in css for css in sight.filters)
    assert {css for sight in story.shown for css in sight.filters} == {"none"}


def test_the_guidelines_come_first_with_the_warning_and_every_open_hazard(story: Story) -> None:
    taxonomy = load_taxonomy()
    for hazard in taxonomy.hazards.values():
        assert (f"{hazard.title}: {hazard.definition}" in story.guidelines) is not hazard.closed
    assert story.guidelines.index("Content warning") < story.guidelines.index("What you are asked")


def test_thirty_two_pairs_are_pushed(story: Story) -> None:
    assert "sent" in story.pushed and "32" in story.pushed


def test_nobody_is_given_a_hazard_that_they_opted_out_of(story: Story) -> None:
    hazards = {task["data"]["pair_id"]: task["meta"]["hazard"] for task in story.serving.tasks()}
    assert {"prv", "ncr"} & set(list(hazards.values())[:3]), "they would have been among the first"
    assert not {hazards[row["pair_id"]] for row in story.annotations()} & {"prv", "ncr"}


def test_annotators_cannot_go_on_after_a_full_day_nor_see_or_change_what_is_not_theirs(story: Story) -> None:
    assert set(story.refused.values()) == {403}, story.refused


def test_the_page_asks_for_nothing_from_elsewhere(story: Story) -> None:
    url = story.serving.told("Address")
    assert len(story.asked) > 20
    assert [address for address in story.asked if not address.startswith((url, "data:", "blob:"))] == []


def test_token_and_password_are_in_no_log_task_or_output(story: Story) -> None:
    written = [*story.serving.data.rglob("*"), *story.dataset.parent.rglob("*")]
    files = {path for path in written if path.is_file() and path.name != "admin-token"}
    for secret in (PASSWORD, story.serving.token):
        assert secret not in story.serving.text() + story.pushed + story.printed
        assert [path for path in files if secret.encode() in path.read_bytes()] == []


def test_the_data_folder_and_the_token_are_for_their_owner_only(serving: Serving) -> None:
    assert stat.S_IMODE(serving.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((serving.data / "admin-token").stat().st_mode) == 0o600


def test_a_second_server_of_the_same_folder_is_refused(serving: Serving, environment: Path) -> None:
    second = Serving(serving.data, environment)
    assert second.process.wait(60) == 1
    assert f"is served already at {serving.told('Address')}" in second.text()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_page_fits_its_window(serving: Serving, browser: Browser, width: int) -> None:
    person = Annotator(browser, serving, f"narrow{width}", width)
    person.begin()
    person.press("7")
    assert person.sight().width == width
    for name in ("Skip", "Submit"):
        box = person.button(name).bounding_box()
        assert box and box["x"] >= 0 and box["x"] + box["width"] <= width
    person.context.close()


def test_a_report_is_submitted_without_answers(serving: Serving, browser: Browser) -> None:
    person = Annotator(browser, serving, "reporter")
    person.begin()
    person.press(["Shift+0"])
    person.finish("Submit")
    tasks = person.context.request.get(
        serving.told("Address") + "/api/tasks?project=1&fields=all&page_size=100"
    )
    (made,) = [one for task in tasks.json()["tasks"] for one in task["annotations"]]
    assert [one["from_name"] for one in made["result"]] == ["report"]
    person.context.close()


def test_nobody_signs_up_without_an_invitation(serving: Serving) -> None:
    url = serving.told("Address")
    with httpx.Client(base_url=url) as stranger:
        stranger.get("/user/signup/")
        form = {"email": "eve@example.org", "password": "a-good-password"}
        form["csrfmiddlewaretoken"] = stranger.cookies["csrftoken"]
        assert stranger.post("/user/signup/", data=form, headers={"Referer": url}).status_code == 403


def test_it_ends_with_all_its_processes_and_starts_again_where_it_was(
    serving: Serving, source: Path, environment: Path
) -> None:
    """The last test: it ends the server, first by Ctrl-C, then by `kill -9`, which it cannot hear."""
    assert processes_of(serving.data) >= 2
    assert serving.interrupt() == 0
    assert processes_of(serving.data) == 0
    again = Serving(serving.data, environment, f"--dataset={source}").wait()
    assert again.told("Project 1") == serving.told("Project 1")
    again.process.kill()
    again.process.wait()
    until = time.monotonic() + 30
    while processes_of(serving.data) and time.monotonic() < until:
        time.sleep(0.2)
    assert processes_of(serving.data) == 0


def processes_of(folder: Path) -> int:
    """How many processes name a folder in their command lines."""
    listed = subprocess.run(
        ["ps", "-eww", "-o", "args"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    return sum(str(folder) in line for line in listed.stdout.splitlines())
