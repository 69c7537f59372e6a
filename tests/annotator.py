"""People at the real annotator page, in a real browser, and the real `serve` command that shows it to them."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from playwright.sync_api import Browser, Locator, Page, expect

ROOT = Path(__file__).parents[1]
PASSWORD = "a-password-of-the-admin-0x7f"
SECONDS_TO_START = 900.0
"""The first start ever installs the server."""


class Serving:
    """One run of `python -m annotation serve`."""

    def __init__(self, data: Path, environment: Path, *options: str) -> None:
        """Start it, as a leader of a process group of its own."""
        self.data = data
        self.said = Path(tempfile.mkstemp(prefix="said-", dir=data.parent)[1])
        # Whoever started the tests in the background may have told them, and so their children, to ignore Ctrl-C.
        heeding = ["env", "--default-signal=INT"]
        command = [*heeding, sys.executable, "-m", "annotation", "serve", f"--data-dir={data}"]
        with self.said.open("wb") as said:
            self.process = subprocess.Popen(
                [*command, f"--environment={environment}", *options],
                cwd=ROOT,
                env=os.environ | {"CROSSHARM_ADMIN_PASSWORD": PASSWORD},
                stdin=subprocess.DEVNULL,
                stdout=said,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def wait(self) -> Serving:
        """Wait until it serves; shows what it said if it ends instead."""
        until = time.monotonic() + SECONDS_TO_START
        while "Ctrl-C" not in self.text():
            assert self.process.poll() is None and time.monotonic() < until, self.text()
            time.sleep(0.2)
        return self

    def text(self) -> str:
        """All that it has printed."""
        return self.said.read_text(encoding="utf-8")

    def told(self, name: str) -> str:
        """What it printed under a name: `Address` or `Invitation`."""
        found = re.search(rf"^{name}: +(.+)$", self.text(), re.MULTILINE)
        assert found, self.text()
        return found[1]

    @property
    def token(self) -> str:
        """The admin's personal access token."""
        return (self.data / "admin-token").read_text(encoding="utf-8")

    def tasks(self) -> list[dict[str, Any]]:
        """All tasks of the first project, in their order, as its admin sees them."""
        with httpx.Client(base_url=self.told("Address"), timeout=60) as admin:
            access = admin.post("/api/token/refresh", json={"refresh": self.token}).raise_for_status().json()
            listed = admin.get(
                "/api/tasks?project=1&fields=all&page_size=100",
                headers={"Authorization": f"Bearer {access['access']}"},
            )
            tasks: list[dict[str, Any]] = listed.raise_for_status().json()["tasks"]
            return sorted(tasks, key=lambda task: int(task["id"]))

    def interrupt(self) -> int:
        """Press Ctrl-C; returns the exit status."""
        self.process.send_signal(signal.SIGINT)
        return self.process.wait(60)

    def kill(self) -> None:
        """End it with everything it started, in case a test failed before it could."""
        if self.process.poll() is None:
            self.interrupt()


class Sight(NamedTuple):
    """What an annotator's page looked like at one moment."""

    filters: tuple[str, ...]
    """CSS filters of all pictures and drawings over them."""
    text: str
    width: int
    """Of the page's content, in pixels."""


class Annotator:
    """Somebody who signed up by the invitation and reads the guidelines."""

    def __init__(self, browser: Browser, serving: Serving, name: str, width: int = 1280) -> None:
        """Sign up, and wait for the guidelines of the first task."""
        self.context = browser.new_context(viewport={"width": width, "height": 900})
        self.page: Page = self.context.new_page()
        self.page.set_default_timeout(90_000)
        self.asked: list[str] = []
        self.page.on("request", lambda request: self.asked.append(request.url))
        self.page.goto(serving.told("Invitation"))
        self.page.fill("input[name=email]", f"{name}@example.org")
        self.page.fill("input[name=password]", f"the-password-of-{name}")
        self.page.click("button[type=submit]")
        expect(self.page.get_by_text("Content warning.")).to_be_visible(timeout=90_000)
        self.guidelines = self.page.locator(".lsf-modal-ls__body").inner_text()

    def begin(self) -> None:
        """Close the guidelines, and wait for the pictures."""
        self.page.keyboard.press("Escape")
        expect(self.page.locator(".lsf-modal-ls__body")).to_have_count(0, timeout=90_000)
        self._wait_for_pictures()

    def sight(self) -> Sight:
        """What is on the page now."""
        script = "nodes => nodes.map(node => getComputedStyle(node).filter)"
        filters = self.page.locator(".part img, .part canvas").evaluate_all(script)
        width = self.page.evaluate("document.documentElement.scrollWidth")
        return Sight(tuple(filters), self.page.locator(".part-text .lsf-htx-richtext").inner_text(), width)

    def press(self, keys: Sequence[str]) -> None:
        """Press keys, one after the other."""
        for key in keys:
            self.page.keyboard.press(key)

    def say_why(self, rationale: str) -> None:
        """Type a rationale."""
        box = self.page.locator("textarea[name=rationale]")
        box.click()
        box.press_sequentially(rationale)

    def draw(self, left: float, top: float, right: float, bottom: float) -> None:
        """Draw a box in the picture; all four are shares of its sides."""
        box: Any = self.page.locator(".part-image canvas").last.bounding_box()
        mouse = self.page.mouse
        mouse.move(box["x"] + left * box["width"], box["y"] + top * box["height"])
        mouse.down()
        mouse.move(box["x"] + right * box["width"], box["y"] + bottom * box["height"], steps=5)
        mouse.up()

    def button(self, name: str) -> Locator:
        """`Skip` or `Submit`."""
        return self.page.locator(".lsf-controls button", has_text=name).first

    def finish(self, button: str, last: bool = False) -> None:
        """Submit or skip, and wait for the next task, or for being told that there is none."""
        number = self.page.locator(".lsf-current-task__task-id").inner_text()
        self.button(button).click()
        if last:
            expect(self.page.locator(".lsf-sub__result")).to_be_visible(timeout=90_000)
            return
        expect(self.page.locator(".lsf-current-task__task-id")).not_to_have_text(number, timeout=90_000)
        self._wait_for_pictures()

    def _wait_for_pictures(self) -> None:
        expect(self.page.locator(".part-composed canvas").last).to_be_visible(timeout=90_000)


def run(module: str, *arguments: str, **variables: str) -> str:
    """Run one of our commands to its end and return what it printed; it must succeed."""
    done = subprocess.run(
        [sys.executable, "-m", *module.split(), *arguments],
        cwd=ROOT,
        env=os.environ | variables,
        capture_output=True,
        text=True,
        check=False,
        timeout=280,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
