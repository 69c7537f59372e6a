"""A real Label Studio for the tests: started on a free port, killed by its process group."""

from __future__ import annotations

import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

EMAIL = "owner@example.org"


class Server:
    """One Label Studio with a data folder and a document root of its own; it can be killed and started again."""

    def __init__(self, environment: Path, folder: Path, settings: Mapping[str, str] | None = None) -> None:
        """Prepare a server.

        Args:
            environment: The virtual environment that it is installed in.
            folder: Where its database, its log and its document root go.
            settings: Further environment variables, such as those of a PostgreSQL database.
        """
        self.command = environment / "bin" / "label-studio"
        self.folder, self.settings = folder, dict(settings or {})
        self.document_root = folder / "root"
        self.document_root.mkdir(parents=True)
        self.token = secrets.token_hex(20)
        self.port = _free_port()
        self.process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        """The address without a slash at its end."""
        return f"http://127.0.0.1:{self.port}"

    def start(self, seconds: float = 240) -> Server:
        """Start it and wait until it is healthy; RuntimeError with the end of its log if it is not in time."""
        with (self.folder / "log").open("ab") as log:
            self.process = subprocess.Popen(
                [self.command, "start", "--no-browser", "--internal-host", "127.0.0.1", *self._where()],
                env=self._environment(),
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        deadline = time.monotonic() + seconds
        while not self.healthy():
            if self.process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"Label Studio did not start: {self.log()[-2000:]}")
            time.sleep(0.25)
        return self

    def kill(self) -> None:
        """End it as a power cut would."""
        if self.process is not None:
            if self.process.poll() is None:
                os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait()
            self.process = None

    def healthy(self) -> bool:
        """Whether it answers."""
        try:
            return httpx.get(f"{self.url}/health", timeout=2).status_code == 200
        except httpx.HTTPError:
            return False

    def log(self) -> str:
        """What it has printed since its first start."""
        return (self.folder / "log").read_text(errors="replace")

    def client(self, token: str = "") -> httpx.Client:
        """A client of the owner, or of whoever has the token."""
        return httpx.Client(
            base_url=self.url, headers={"Authorization": f"Token {token or self.token}"}, timeout=60
        )

    def sign_up(self, name: str) -> str:
        """Make an annotator as a person would, by the invitation; returns the token."""
        with self.client() as owner, httpx.Client(base_url=self.url, follow_redirects=True) as person:
            invite = owner.get("/api/invite").raise_for_status().json()["invite_url"]
            person.get(invite)
            form = {"email": f"{name}@example.org", "password": secrets.token_hex(8)}
            form["csrfmiddlewaretoken"] = person.cookies["csrftoken"]
            person.post(invite, data=form, headers={"Referer": self.url}).raise_for_status()
            return str(person.get("/api/current-user/token").raise_for_status().json()["token"])

    def tasks(self, project: str) -> list[dict[str, Any]]:
        """All tasks of the project of this title, with their annotations, as an export gives them."""
        with self.client() as owner:
            listed = (
                owner.get("/api/projects", params={"page_size": 1000}).raise_for_status().json()["results"]
            )
            (number,) = [found["id"] for found in listed if found["title"] == project]
            exported = owner.get(f"/api/projects/{number}/export?exportType=JSON&download_all_tasks=true")
            tasks: list[dict[str, Any]] = exported.raise_for_status().json()
            return sorted(tasks, key=lambda task: task["id"])

    def _where(self) -> list[str]:
        return ["--port", str(self.port), "--data-dir", str(self.folder / "data")]

    def _environment(self) -> dict[str, str]:
        return {
            **{name: value for name, value in os.environ.items() if not name.startswith("LABEL_STUDIO")},
            "LABEL_STUDIO_USERNAME": EMAIL,
            "LABEL_STUDIO_PASSWORD": self.token,
            "LABEL_STUDIO_USER_TOKEN": self.token,
            "LABEL_STUDIO_ENABLE_LEGACY_API_TOKEN": "true",
            "LABEL_STUDIO_LOCAL_FILES_SERVING_ENABLED": "true",
            "LABEL_STUDIO_LOCAL_FILES_DOCUMENT_ROOT": str(self.document_root),
            "LABEL_STUDIO_DISABLE_SIGNUP_WITHOUT_LINK": "true",
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            **self.settings,
        }


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
