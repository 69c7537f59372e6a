"""A dataset's project on a server: made once, and refused if it was made for another configuration."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio


class WrongProjectError(Exception):
    """There is a project of this title with another labelling configuration; the text is the whole message."""


class Project(NamedTuple):
    """A project as far as `serve` tells of it."""

    number: int
    title: str
    new: bool


def ensure_project(url: str, token: str, settings: dict[str, Any]) -> Project:
    """Find the project by its title, or make it.

    Args:
        url: The server's address.
        token: A personal access token.
        settings: As `labelling.project_settings` gives them.

    Raises:
        WrongProjectError: It is there with another configuration, so its annotations would mean something else.
    """
    from label_studio_sdk import LabelStudio

    client = LabelStudio(base_url=url, api_key=token)
    found = _find(client, settings["title"])
    if found is None:
        made = client.projects.create(**settings)
        return Project(int(made.id or 0), settings["title"], True)
    _require_same(found, settings)
    return Project(int(found.id), settings["title"], False)


def _find(client: LabelStudio, title: str) -> Any:
    for project in client.projects.list(title=title):
        if project.title == title:
            return client.projects.get(project.id)
    return None


def _require_same(found: Any, settings: dict[str, Any]) -> None:
    from annotation.labelling import fingerprint

    theirs, ours = fingerprint(found.label_config or "<View/>"), fingerprint(settings["label_config"])
    if theirs != ours:
        raise WrongProjectError(
            f"project {found.id} ({found.title}) has labelling configuration {theirs}, not {ours}: finish it with "
            "the version it was made with, or rename it and start again"
        )
