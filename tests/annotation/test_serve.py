"""What `serve` does before there is a server; the server itself is in test_browser.py."""

from __future__ import annotations

import re
import socket
import stat
from pathlib import Path

import pytest

from annotation.dataset import AnnotationError
from annotation.environment import install, is_installed, requirements
from annotation.serve import DAILY_CAP, changed_limits, main
from annotation.server.crossharm.limits import Limits, read_limits
from annotation.server_process import (
    ServerError,
    Settings,
    admin_password,
    database_variables,
    make_data_folder,
)

ADDRESS = "postgresql://ada:p%40ss@db.example.org:6432/annotations"


def test_an_opt_out_replaces_the_earlier_one_of_the_same_person_only() -> None:
    before = Limits(5, (("ada@x.org", frozenset({"ssh"})), ("bob@x.org", frozenset({"phy"}))))
    after = changed_limits(before, None, ["Ada@x.org:prv, hte"])
    assert after == Limits(5, (("ada@x.org", frozenset({"prv", "hte"})), ("bob@x.org", frozenset({"phy"}))))
    assert changed_limits(after, 0, ["bob@x.org:"]).opt_outs == after.opt_outs[:1]


@pytest.mark.parametrize("text", ["ssh", "ada:ssh", "ada@x.org:nonsense", "ada@x.org:cse"])
def test_an_opt_out_that_means_nothing_is_refused(text: str) -> None:
    with pytest.raises(AnnotationError, match="--opt-out"):
        changed_limits(Limits(), None, [text])


def test_a_taken_port_is_one_line_and_limits_are_kept(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        assert main([f"--data-dir={tmp_path / 'd'}", f"--port={port}", "--opt-out=ada@x.org:ssh"]) == 1
    assert capsys.readouterr().err == (
        f"crossharm: port {port} is taken; choose another with --port, or leave it out\n"
    )
    assert read_limits(tmp_path / "d" / "limits.json") == Limits(
        DAILY_CAP, (("ada@x.org", frozenset({"ssh"})),)
    )


def test_postgres_is_taken_from_the_environment_and_never_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([f"--data-dir={tmp_path}", "--postgres", "NOT_SET"]) == 1
    monkeypatch.setenv("CROSSHARM_POSTGRES_URL", "mysql://ada:secret@x/y")
    assert main([f"--data-dir={tmp_path}", "--postgres"]) == 1
    said = capsys.readouterr().err
    assert "NOT_SET is not set" in said
    assert "postgresql://user:password@host:port/name" in said
    assert "secret" not in said


def test_the_parts_of_a_postgres_address_become_label_studios_variables() -> None:
    assert database_variables(ADDRESS) == {
        "DJANGO_DB": "default",
        "POSTGRE_USER": "ada",
        "POSTGRE_PASSWORD": "p@ss",
        "POSTGRE_HOST": "db.example.org",
        "POSTGRE_PORT": "6432",
        "POSTGRE_NAME": "annotations",
    }
    assert database_variables("") == {"DJANGO_DB": "sqlite"}


@pytest.mark.parametrize("address", ["postgresql://", "postgresql://h:x/n", "postgresql://h", "http://h/n"])
def test_an_address_that_is_none_is_refused(address: str) -> None:
    with pytest.raises(ServerError):
        database_variables(address)


def test_the_password_is_made_once_into_a_file_for_its_owner(tmp_path: Path) -> None:
    data = make_data_folder(tmp_path / "d")
    made = admin_password(data, None)
    assert len(made) >= 16
    assert admin_password(data, None) == made
    assert stat.S_IMODE(data.password.stat().st_mode) == 0o600
    assert stat.S_IMODE(data.path.stat().st_mode) == 0o700


def test_the_key_of_the_server_s_tokens_is_made_once_and_cannot_be_misread(tmp_path: Path) -> None:
    data = make_data_folder(tmp_path / "d")
    made = data.secret.read_text()
    assert re.fullmatch(r"SECRET_KEY=[0-9a-f]{64}\n", made)
    make_data_folder(tmp_path / "d")
    assert data.secret.read_text() == made
    assert stat.S_IMODE(data.secret.stat().st_mode) == 0o600


def test_the_server_inherits_no_secrets_and_only_its_preparation_sees_the_password(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_TOKEN", "a-secret")
    settings = Settings(make_data_folder(tmp_path), tmp_path, "the-password")
    assert "a-secret" not in settings.variables().values()
    assert "the-password" not in settings.variables().values()
    assert settings.for_preparation()["CROSSHARM_PASSWORD"] == "the-password"
    assert settings.variables()["LABEL_STUDIO_SENTRY_DSN"] == ""


def test_a_folder_that_is_no_environment_is_left_alone(tmp_path: Path) -> None:
    (tmp_path / "env").mkdir()
    (tmp_path / "env" / "thesis.txt").write_text("years of work")
    with pytest.raises(AnnotationError, match="no virtual environment"):
        install(tmp_path / "env")
    assert not is_installed(tmp_path / "env")
    assert (tmp_path / "env" / "thesis.txt").exists()


def test_the_servers_requirements_are_names_and_versions_only() -> None:
    lines = requirements().splitlines()
    assert any(line.startswith("label-studio==1.23.") for line in lines)
    assert all("==" in line and "://" not in line and not line.startswith("-") for line in lines)
