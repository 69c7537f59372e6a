"""Prepares, starts and stops one Label Studio server on 127.0.0.1, with everything it knows in one data folder."""

from __future__ import annotations

import json
import os
import secrets
import signal
import socket
import subprocess
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import unquote, urlsplit

from annotation.dataset import AnnotationError
from annotation.environment import server_python

HOST = "127.0.0.1"
ADMIN = "admin@crossharm.local"
SECONDS_TO_START = 180.0
SECONDS_TO_STOP = 10.0
_PLUGIN = Path(__file__).parent / "server"
# A server sees of the caller's environment what a program needs to run, and nothing that could be a secret.
_INHERITED = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "SYSTEMROOT")


class ServerError(AnnotationError):
    """The server could not be prepared or started; the text is the whole message."""


class DataFolder(NamedTuple):
    """Where a server keeps everything; readable by its owner only."""

    path: Path

    @property
    def pictures(self) -> Path:
        """The document root: the only folder whose files the server shows."""
        return self.path / "pictures"

    @property
    def limits(self) -> Path:
        """Daily cap and opt-outs; the server reads it again when it changes."""
        return self.path / "limits.json"

    @property
    def token(self) -> Path:
        """The admin's personal access token."""
        return self.path / "admin-token"

    @property
    def secret(self) -> Path:
        """Where Label Studio reads the key that it signs tokens with."""
        return self.path / ".env"

    @property
    def password(self) -> Path:
        """The admin's password, unless the environment gives it."""
        return self.path / "admin-password"

    @property
    def log(self) -> Path:
        """What the server says."""
        return self.path / "server.log"


class Settings(NamedTuple):
    """How a server runs."""

    data: DataFolder
    environment: Path
    password: str
    legacy_tokens: bool = False
    postgres: str = ""
    """`postgresql://user:password@host:port/name`, or empty for SQLite."""

    def variables(self) -> dict[str, str]:
        """The server's environment variables."""
        kept = {name: os.environ[name] for name in _INHERITED if name in os.environ}
        return kept | self._ours() | self._label_studio() | database_variables(self.postgres)

    def _ours(self) -> dict[str, str]:
        return {
            "PYTHONPATH": str(_PLUGIN),
            "DJANGO_SETTINGS_MODULE": "crossharm.settings",
            "CROSSHARM_LIMITS": str(self.data.limits),
            "HOME": str(self.data.path),
            "XDG_CONFIG_HOME": str(self.data.path),
        }

    def _label_studio(self) -> dict[str, str]:
        values = {
            "BASE_DATA_DIR": str(self.data.path),
            "LOCAL_FILES_SERVING_ENABLED": "true",
            "LOCAL_FILES_DOCUMENT_ROOT": str(self.data.pictures),
            "DISABLE_SIGNUP_WITHOUT_LINK": "true",
            "ENABLE_LEGACY_API_TOKEN": str(self.legacy_tokens).lower(),
            "ALLOWED_HOSTS": f"{HOST},localhost",
            "COLLECT_ANALYTICS": "false",
            "LATEST_VERSION_CHECK": "false",
            "SENTRY_DSN": "",
            "FRONTEND_SENTRY_DSN": "",
        }
        return {f"LABEL_STUDIO_{name}": value for name, value in values.items()}

    def for_preparation(self) -> dict[str, str]:
        """The variables of `crossharm.prepare`, which alone sees the password."""
        return self.variables() | {
            "CROSSHARM_ADMIN": ADMIN,
            "CROSSHARM_PASSWORD": self.password,
            "CROSSHARM_LEGACY_TOKENS": str(self.legacy_tokens).lower(),
            "CROSSHARM_TOKEN_FILE": str(self.data.token),
            "CROSSHARM_TEMPLATE": str(self.environment / "empty.sqlite3"),
        }


def database_variables(address: str) -> dict[str, str]:
    """What Label Studio calls the parts of a PostgreSQL address; an empty address means SQLite.

    Raises:
        ServerError: It is no such address. The message does not repeat it, as it may hold a password.
    """
    if not address:
        return {"DJANGO_DB": "sqlite"}
    try:
        parts = urlsplit(address)
        port = str(parts.port or 5432)
    except ValueError:
        parts, port = urlsplit(""), ""
    name = parts.path.strip("/")
    if parts.scheme not in ("postgresql", "postgres") or not parts.hostname or not name:
        raise ServerError("the PostgreSQL address is not postgresql://user:password@host:port/name")
    return {
        "DJANGO_DB": "default",
        "POSTGRE_USER": unquote(parts.username or "postgres"),
        "POSTGRE_PASSWORD": unquote(parts.password or ""),
        "POSTGRE_HOST": parts.hostname,
        "POSTGRE_PORT": port,
        "POSTGRE_NAME": unquote(name),
    }


def make_data_folder(path: Path) -> DataFolder:
    """Make the folder, and close it to everybody else."""
    data = DataFolder(path.resolve())
    data.path.mkdir(parents=True, exist_ok=True)
    data.path.chmod(0o700)
    data.pictures.mkdir(exist_ok=True)
    if not data.secret.exists():
        # Label Studio's own random key may begin with a "$", which it then takes for the name of a variable: it would
        # make another key at every start, and every token would be worthless.
        _write_once(data.secret, f"SECRET_KEY={secrets.token_hex(32)}\n")
    return data


def admin_password(data: DataFolder, given: str | None) -> str:
    """The given password, or the one in the data folder's file, which is made once with mode 0600."""
    if given:
        return given
    if not data.password.exists():
        _write_once(data.password, secrets.token_urlsafe(18) + "\n")
    return data.password.read_text(encoding="utf-8").strip()


def _write_once(path: Path, secret: str) -> None:
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(secret)


def prepare(settings: Settings, heard: Callable[[Mapping[str, Any]], None]) -> str:
    """Make or update the database and the admin.

    Args:
        settings: Of the server.
        heard: Called with `{"migrations": N}`, then N times with `{"applied": NAME}`.

    Returns:
        The token of the invitation link.

    Raises:
        ServerError: It did not work; the end of the log says why.
    """
    command = [str(server_python(settings.environment)), "-m", "crossharm.prepare"]
    invitation = ""
    with (
        settings.data.log.open("ab") as log,
        subprocess.Popen(
            command,
            env=settings.for_preparation(),
            cwd=settings.data.path,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=log,
            text=True,
        ) as process,
    ):
        assert process.stdout is not None
        for line in process.stdout:
            event = _event(line)
            invitation = event.get("invitation", invitation)
            heard(event)
    if process.returncode or not invitation:
        raise ServerError(f"Label Studio could not be prepared; the end of {settings.data.log} says why")
    return invitation


def _event(line: str) -> dict[str, Any]:
    """An event, or nothing for other talk."""
    try:
        event = json.loads(line)
    except ValueError:
        return {}
    return event if isinstance(event, dict) else {}


def free_port() -> int:
    """A port that nobody listens on."""
    with socket.socket() as server:
        server.bind((HOST, 0))
        return int(server.getsockname()[1])


def is_taken(port: int) -> bool:
    """Whether somebody listens on a port of this machine."""
    with socket.socket() as client:
        client.settimeout(1)
        return client.connect_ex((HOST, port)) == 0


def start(settings: Settings, port: int) -> subprocess.Popen[bytes]:
    """Start the server as the leader of a process group of its own, so that it ends with all its children."""
    command = [str(server_python(settings.environment)), "-m", "crossharm.run", "start", "--no-browser"]
    options = ["--internal-host", HOST, "--port", str(port), "--data-dir", str(settings.data.path)]
    with settings.data.log.open("ab") as log:
        return subprocess.Popen(
            [*command, *options],
            env=settings.variables(),
            cwd=settings.data.path,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def wait_until_healthy(process: subprocess.Popen[bytes], url: str, log: Path) -> None:
    """Wait until `/health` answers.

    Raises:
        ServerError: The server ended, or did not answer in time.
    """
    until = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < until:
        if process.poll() is not None:
            raise ServerError(
                f"Label Studio ended with status {process.returncode}; the end of {log} says why"
            )
        if _is_healthy(url):
            return
        time.sleep(0.3)
    raise ServerError(f"Label Studio did not answer in {SECONDS_TO_START:.0f} s; the end of {log} says why")


def stop(process: subprocess.Popen[bytes]) -> None:
    """End the server and everything it started, kindly if it lets itself be."""
    for wish, seconds in ((signal.SIGTERM, SECONDS_TO_STOP), (signal.SIGKILL, None)):
        try:
            os.killpg(process.pid, wish)
        except ProcessLookupError:
            break
        try:
            process.wait(seconds)
        except subprocess.TimeoutExpired:
            continue
    process.wait()


def _is_healthy(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/health", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False
