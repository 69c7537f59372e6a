"""The real server that `python -m annotation serve` starts, for tests; it can be killed and started again."""

from __future__ import annotations

import os
import secrets
import signal
import subprocess
from pathlib import Path
from typing import Any

import httpx

from annotation.server.crossharm.limits import Limits, format_limits
from annotation.server_process import (
    HOST,
    Settings,
    free_port,
    make_data_folder,
    prepare,
    start,
    wait_until_healthy,
)


class Server:
    """One Label Studio with a data folder of its own."""

    def __init__(self, environment: Path, folder: Path, postgres: str = "") -> None:
        """Make its database.

        Args:
            environment: The virtual environment that it is installed in.
            folder: Where it keeps everything.
            postgres: The address of a PostgreSQL database, instead of SQLite.
        """
        data = make_data_folder(folder)
        data.limits.write_text(format_limits(Limits()), encoding="utf-8")
        self.settings = Settings(data, environment, secrets.token_urlsafe(), True, postgres)
        self.invitation = prepare(self.settings, lambda event: None)
        self.document_root = data.pictures
        self.url = f"http://{HOST}:{free_port()}"
        self.token = data.token.read_text(encoding="utf-8").strip()
        self._process: subprocess.Popen[bytes] | None = None
        self._legacy = ""

    def start(self) -> Server:
        """Start it, and wait until it is healthy."""
        self._process = start(self.settings, int(self.url.rpartition(":")[2]))
        wait_until_healthy(self._process, self.url, self.settings.data.log)
        self._legacy = self._legacy or self._legacy_token()
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        if self._process is not None and self._process.poll() is None:
            os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait()

    def client(self, token: str = "") -> httpx.Client:
        """A client of the owner, or of whoever has the legacy token."""
        headers = {"Authorization": f"Token {token or self._legacy}"}
        return httpx.Client(base_url=self.url, headers=headers, timeout=600)

    @property
    def legacy_token(self) -> str:
        """The owner's token of the older kind; `token` is a personal access token."""
        return self._legacy

    def sign_up(self, name: str) -> str:
        """Make an annotator as a person would, by the invitation; returns a legacy token."""
        page = f"/user/signup/?token={self.invitation}"
        with httpx.Client(base_url=self.url, follow_redirects=True, timeout=60) as person:
            person.get(page).raise_for_status()
            form = {"email": f"{name}@example.org", "password": secrets.token_urlsafe()}
            form["csrfmiddlewaretoken"] = person.cookies["csrftoken"]
            person.post(page, data=form, headers={"Referer": self.url}).raise_for_status()
            return str(person.get("/api/current-user/token").raise_for_status().json()["token"])

    def number(self, project: str) -> int:
        """The number of the project of this title."""
        with self.client() as owner:
            listed = (
                owner.get("/api/projects", params={"page_size": 1000}).raise_for_status().json()["results"]
            )
        (number,) = [found["id"] for found in listed if found["title"] == project]
        return int(number)

    def tasks(self, project: str) -> list[dict[str, Any]]:
        """All tasks of the project of this title, with their annotations, as an export gives them."""
        path = f"/api/projects/{self.number(project)}/export?exportType=JSON&download_all_tasks=true"
        with self.client() as owner:
            tasks: list[dict[str, Any]] = owner.get(path).raise_for_status().json()
        return sorted(tasks, key=lambda task: task["id"])

    def _legacy_token(self) -> str:
        with httpx.Client(base_url=self.url, timeout=60) as client:
            answer = client.post("/api/token/refresh", json={"refresh": self.token}).raise_for_status()
            headers = {"Authorization": f"Bearer {answer.json()['access']}"}
            found = client.get("/api/current-user/token", headers=headers).raise_for_status()
        return str(found.json()["token"])
