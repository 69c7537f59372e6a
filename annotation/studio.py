"""One project of a Label Studio server: what push and pull ask of it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

from annotation.connection import NotThereError, access_token, address, answering
from annotation.dataset import AnnotationError

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

PAGE = 500
"""Tasks a request."""
_SECONDS = 120.0


class Studio:
    """One project of one Label Studio server."""

    def __init__(self, client: LabelStudio, url: str, project: Any) -> None:
        """Use `connect`."""
        self._client, self.url, self._project = client, url, project

    @property
    def project_id(self) -> int:
        """The project's number on its server."""
        return int(self._project.id)

    @property
    def key(self) -> str:
        """What tells the project from those of the same number on other servers: number and date of creation."""
        return f"{self._project.id}/{self._project.created_at.isoformat()}"

    @property
    def title(self) -> str:
        """The project's title."""
        return str(self._project.title)

    @property
    def config(self) -> str:
        """The project's labelling configuration."""
        return str(self._project.label_config)

    @property
    def overlap(self) -> int:
        """How many annotators see a task."""
        return int(self._project.maximum_annotations)

    def set_overlap(self, overlap: int) -> None:
        """Change how many annotators see a task."""
        with answering(self.url):
            self._client.projects.update(self.project_id, maximum_annotations=overlap)

    def tasks(self, after: int = 0, since: str = "", annotations: bool = False) -> Iterator[dict[str, Any]]:
        """Read tasks by rising number.

        Every request asks for numbers above the last one seen, so that tasks which come or go meanwhile
        shift nothing: none is lost and none is read twice.

        Args:
            after: Only tasks with a higher number.
            since: Only tasks changed at this time or later (ISO 8601 in UTC).
            annotations: With all annotations, skipped ones included.
        """
        while page := self._page(_query(after, since), PAGE, annotations):
            yield from page
            after = int(page[-1]["id"])

    def latest_change(self) -> str:
        """When a task was last changed (ISO 8601 in UTC, the server's clock); empty if there is no task."""
        page = self._page({"ordering": ["-tasks:updated_at"]}, 1, False)
        return str(page[0]["updated_at"]) if page else ""

    def send(self, tasks: Sequence[Mapping[str, Any]]) -> None:
        """Import tasks, all or none.

        It is not repeated when the answer is lost, as the SDK would: the server may have taken the tasks.

        Raises:
            LostAnswerError: The server may have taken them.
        """
        with answering(self.url):
            self._client.projects.import_tasks(
                self.project_id,
                request=list(tasks),  # type: ignore[arg-type]
                request_options={"max_retries": 0, "timeout": _SECONDS},
            )

    def annotated(self, task: int) -> bool:
        """Whether a task has annotations, skips or drafts at this moment."""
        with answering(self.url):
            found = self._client.tasks.get(str(task))
        return bool(found.annotations or found.drafts)

    def delete(self, task: int) -> None:
        """Delete a task."""
        with answering(self.url):
            self._client.tasks.delete(str(task))

    def serve_folder(self, folder: str, title: str) -> None:
        """Let the project's members see the files of a folder under the server's document root."""
        with answering(self.url):
            known = self._client.import_storage.local.list(project=self.project_id)
            if all((storage.path or "").rstrip("/") != folder for storage in known):
                self._client.import_storage.local.create(
                    project=self.project_id, path=folder, title=title, use_blob_urls=True
                )

    def buckets(self, kind: str) -> list[str]:
        """The buckets of the project's cloud storages; kind is `s3` or `gcs`."""
        with answering(self.url):
            found = getattr(self._client.import_storage, kind).list(project=self.project_id)
        return [str(storage.bucket) for storage in found]

    def _page(self, query: Mapping[str, Any], size: int, annotations: bool) -> list[dict[str, Any]]:
        with answering(self.url):
            page: Any = self._client.tasks.list(
                project=self.project_id,
                query=json.dumps(query),
                page_size=size,
                resolve_uri=False,
                fields="all" if annotations else "task_only",
            )
        return [task.model_dump(mode="json") for task in page.items or ()]


def connect(url: str, project: str, settings: Mapping[str, Any] | None = None) -> Studio:
    """Find a project by its number or its title.

    Args:
        url: The server's address.
        project: Number or title.
        settings: What to make the project with if no project has this title; None to make none.

    Raises:
        AnnotationError: The address, the token or the project is wrong.
    """
    base, token = address(url), access_token()
    from label_studio_sdk import LabelStudio

    with answering(base):
        client = LabelStudio(base_url=base, api_key=token, timeout=_SECONDS)
        client.users.whoami()
        found: Any = _find(client, base, project)
        if found is None and settings is not None:
            found = client.projects.create(**{**settings, "title": project})
    if found is None:
        raise NotThereError(f"{base} has no project {project!r} that this token may see")
    return Studio(client, base, found)


def require_configuration(studio: Studio, *configs: str) -> None:
    """Refuse a project whose labelling configuration is none of these.

    Raises:
        AnnotationError: It is another one, so that answers would not fit the dataset.
    """
    from annotation.labelling import fingerprint

    expected = [fingerprint(config) for config in configs]
    if (found := fingerprint(studio.config)) not in expected:
        raise AnnotationError(
            f"project {studio.project_id} ({studio.title}) has labelling configuration {found}, "
            f"not {' or '.join(expected)}: take another project, or --show-verdict as it was made with"
        )


def _find(client: LabelStudio, url: str, project: str) -> Any:
    if project.isdecimal():
        try:
            with answering(url):
                return client.projects.get(int(project))
        except NotThereError:
            raise NotThereError(f"there is no project number {project} that this token may see") from None
    listed: list[Any] = list(client.projects.list(title=project))
    same = [found.id for found in listed if found.title == project]
    if len(same) > 1:
        numbers = ", ".join(str(number) for number in sorted(same))
        raise AnnotationError(f"projects {numbers} all have the title {project!r}; give the number")
    return client.projects.get(same[0]) if same else None


def _query(after: int, since: str) -> dict[str, Any]:
    items: list[dict[str, Any]] = [
        {"filter": "filter:tasks:id", "operator": "greater", "type": "Number", "value": after}
    ]
    if since:
        items.append(
            {
                "filter": "filter:tasks:updated_at",
                "operator": "greater_or_equal",
                "type": "Datetime",
                "value": since,
            }
        )
    return {"filters": {"conjunction": "and", "items": items}, "ordering": ["tasks:id"]}
