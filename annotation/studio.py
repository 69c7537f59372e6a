"""The conversation with Label Studio: what push and pull ask of it, and its errors in one line each."""

from __future__ import annotations

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from annotation.dataset import AnnotationError

if TYPE_CHECKING:
    from label_studio_sdk import LabelStudio

TOKEN = "LABEL_STUDIO_API_KEY"
"""The environment variable with a personal access token or a legacy token."""
PAGE = 500
"""Tasks a request."""
_SECONDS = 120.0


class LostAnswerError(AnnotationError):
    """The server may or may not have done what it was asked."""


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

    def tasks(
        self, after: int = 0, since: str = "", annotations: bool = False
    ) -> Iterator[dict[str, Any]]:
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
            page = self._client.tasks.list(
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
    base = _address(url)
    token = os.environ.get(TOKEN, "").strip()
    if not token:
        raise AnnotationError(f"set {TOKEN} to your access token (Account & Settings in Label Studio)")
    if not token.isascii() or not token.isprintable() or " " in token:
        raise AnnotationError(f"{TOKEN} is not a token: it has spaces or other characters that tokens have not")
    from label_studio_sdk import LabelStudio

    with answering(base):
        client = LabelStudio(base_url=base, api_key=token, timeout=_SECONDS)
        client.users.whoami()
        found = _find(client, project)
        if found is None and settings is not None:
            found = client.projects.create(**{**settings, "title": project})
    if found is None:
        raise AnnotationError(f"{base} has no project {project!r} that this token may see")
    return Studio(client, base, found)


@contextmanager
def answering(url: str) -> Iterator[None]:
    """Turn whatever goes wrong in talking to the server into one line that never has the token in it."""
    import httpx
    from label_studio_sdk.core.api_error import ApiError

    try:
        yield
    except (httpx.ConnectError, httpx.ConnectTimeout):
        raise AnnotationError(f"nothing answers at {url}: start the server or correct --url") from None
    except httpx.TransportError as error:
        raise LostAnswerError(f"{url} stopped answering ({type(error).__name__})") from None
    except ApiError as error:
        raise _refusal(url, error.status_code or 0, error.body) from None
    except ValueError:
        raise AnnotationError(f"{url} does not answer like Label Studio; correct --url") from None


def _refusal(url: str, status: int, body: Any) -> AnnotationError:
    if status == 401:
        return AnnotationError(f"{url} refused the token in {TOKEN}; make a new one in Account & Settings")
    if status == 403:
        return AnnotationError(f"{url} does not let the owner of the token in {TOKEN} do this")
    if status >= 500:
        return LostAnswerError(f"{url} failed with status {status}; its log says why")
    if not isinstance(body, Mapping) or status < 400:
        return AnnotationError(f"{url} does not answer like Label Studio (status {status}); correct --url")
    detail = json.dumps(body.get("validation_errors") or body.get("detail") or body, default=str)
    token = os.environ.get(TOKEN, "").strip()
    return AnnotationError(f"{url} refused with status {status}: {detail.replace(token, '...')[:300]}")


def _find(client: LabelStudio, project: str) -> Any:
    from label_studio_sdk.core.api_error import ApiError

    if project.isdecimal():
        try:
            return client.projects.get(int(project))
        except ApiError as error:
            if error.status_code == 404 and isinstance(error.body, Mapping):
                raise AnnotationError(f"there is no project number {project}") from None
            raise
    same = [found.id for found in client.projects.list(title=project) if found.title == project]
    if len(same) > 1:
        numbers = ", ".join(str(number) for number in sorted(same))
        raise AnnotationError(f"projects {numbers} all have the title {project!r}; give the number")
    return client.projects.get(same[0]) if same else None


def _address(url: str) -> str:
    parts = urlsplit(url)
    if parts.scheme not in ("http", "https") or not parts.hostname:
        raise AnnotationError(f"--url {url!r} is no address such as http://localhost:8080")
    if parts.username or parts.password or parts.query:
        raise AnnotationError(f"--url must hold no secrets: put the token into {TOKEN}")
    return url.rstrip("/")


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
