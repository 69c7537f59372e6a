"""What annotators may do, and where they have done enough for a day; whoever is staff may do everything."""

from __future__ import annotations

import re
from typing import Any

from crossharm.limits import Limits, read_limits
from django.conf import settings
from django.db.models import Q, QuerySet
from django.http import HttpRequest, HttpResponse
from django.utils import timezone
from rest_framework.exceptions import PermissionDenied
from rest_framework.permissions import BasePermission
from tasks.mixins import AnnotationMixin, TaskMixin

ALLOWED = frozenset(
    {
        "annotations.change",
        "annotations.create",
        "annotations.view",
        "avatar.any",
        "labels.view",
        "projects.view",
        "tasks.view",
        "users.token.any",
        "views.view",
    }
)
"""The permissions of annotators; every other one is for staff."""
NOT_YOURS = "Only whoever runs this project may do that."
NEXT_TASK = re.compile(r"/api/projects/\d+/next/?$")
TASK_PAGE = re.compile(r"/projects/\d+/data")
FULL_DAY = "<style>p { font: 20px sans-serif; max-width: 30em; margin: 20vh auto; padding: 0 1em }</style>"
# Label Studio says here that all tasks are completed, also where they are not.
NO_MORE = """<style>
.lsf-sub__result { font-size: 0 }
.lsf-sub__result::after { font-size: 16px; content: "All pairs are done, or you have seen your share for today." }
</style>"""


def limits() -> Limits:
    """The limits as they are now."""
    return read_limits(settings.CROSSHARM_LIMITS)


def tasks_for(request: Any, tasks: QuerySet[Any]) -> QuerySet[Any]:
    """Those of some tasks that the user of a request may see.

    None of a hazard that they opted out of; and, unless the request is for the next task, only those that they were
    given already: the list of all tasks shows every picture.
    """
    user = getattr(request, "user", None)
    if user is None or user.is_staff:
        return tasks
    if not _asks_for_next(request):
        tasks = tasks.filter(_given_to(user))
    hidden = sorted(limits().hidden_from(user.email))
    return tasks.filter(Q(meta__hazard__isnull=True) | ~Q(meta__hazard__in=hidden)) if hidden else tasks


class TaskAccess(TaskMixin):
    """Makes a task of a hazard that somebody opted out of unreachable for them, however they ask for it."""

    def has_permission(self, user: Any) -> bool:
        """Whether the user may see the task."""
        hazard = (self.meta or {}).get("hazard", "")
        return hazard not in limits().hidden_from(user.email) and super().has_permission(user)


class AnnotationAccess(AnnotationMixin):
    """Makes annotations visible to their author and to staff only."""

    def has_permission(self, user: Any) -> bool:
        """Whether the user may see and change the annotation."""
        mine = user.is_staff or self.completed_by_id == user.id
        return mine and super().has_permission(user)


class AnnotatorsAnnotate(BasePermission):
    """Refuses annotators everything but annotating, and that, too, once they have done enough for a day."""

    def has_object_permission(self, request: Any, view: Any, obj: Any) -> bool:
        """Whether an object may be seen: the drafts of others may not."""
        from tasks.models import AnnotationDraft

        user = request.user
        return user.is_staff or not isinstance(obj, AnnotationDraft) or obj.user_id == user.id

    def has_permission(self, request: Any, view: Any) -> bool:
        """True, or PermissionDenied with a message that is shown to the annotator."""
        if not request.user.is_authenticated or request.user.is_staff:
            return True
        if not _is_allowed(request, view) or _is_of_others(request, view):
            raise PermissionDenied(NOT_YOURS)
        if _is_work(request, view) and done_for_today(request.user):
            raise PermissionDenied(enough())
        return True


def done_for_today(user: Any) -> bool:
    """Whether the user has answered or skipped as many tasks since midnight (UTC) as the cap allows."""
    cap = limits().daily_cap
    if not cap:
        return False
    midnight = timezone.now().replace(hour=0, minute=0, second=0, microsecond=0)
    return user.annotations.filter(created_at__gte=midnight).count() >= cap


class Pages:
    """Middleware: what annotators are told when there is no further task, and no tips from the internet."""

    def __init__(self, get_response: Any) -> None:
        """Keep the next middleware."""
        self.get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        """Answer the pages that are ours, and pass everything else on."""
        if request.path.startswith("/heidi-tips"):
            return HttpResponse("{}", content_type="application/json", status=404)
        annotates = request.user.is_authenticated and not request.user.is_staff
        if not annotates or not TASK_PAGE.match(request.path):
            response: HttpResponse = self.get_response(request)
            return response
        if done_for_today(request.user):
            return HttpResponse(f"<!doctype html><title>Enough for today</title>{FULL_DAY}<p>{enough()}</p>")
        page: HttpResponse = self.get_response(request)
        page.content = page.content.replace(b"</head>", NO_MORE.encode() + b"</head>", 1)
        return page


def enough() -> str:
    """What an annotator is told after a full day."""
    return f"That was enough for today: {limits().daily_cap} pairs. Thank you. Please come back tomorrow."


def _asks_for_next(request: Any) -> bool:
    return bool(NEXT_TASK.match(request.path)) or (
        request.path.startswith("/api/dm/actions") and request.GET.get("id") == "next_task"
    )


def _given_to(user: Any) -> Q:
    """Tasks that a user answered, skipped, began, or has open."""
    from tasks.models import TaskLock

    own = (user.annotations, user.drafts, TaskLock.objects.filter(user=user))
    return Q(pk__in=own[0].values("task")) | Q(pk__in=own[1].values("task")) | Q(pk__in=own[2].values("task"))


def _needed(view: Any, method: str) -> str:
    """The name of the permission that a view asks for; empty if it asks for none."""
    permission = getattr(view, "permission_required", None)
    if permission is None or isinstance(permission, str):
        return permission or ""
    return getattr(permission, method, None) or ""


def _is_allowed(request: Any, view: Any) -> bool:
    """Whether a view asks for no more than annotators may do; the page also asks for the list of people."""
    from users.api import UserAPI

    needed = _needed(view, request.method)
    return not needed or needed in ALLOWED or (isinstance(view, UserAPI) and request.method == "GET")


def _is_of_others(request: Any, view: Any) -> bool:
    """Whether a request is for everybody's answers to a task, or acts on many tasks at once."""
    from data_manager.api import ProjectActionsAPI
    from tasks.api import AnnotationDraftListAPI, AnnotationsListAPI

    listing = isinstance(view, AnnotationsListAPI | AnnotationDraftListAPI) and request.method == "GET"
    acting = isinstance(view, ProjectActionsAPI) and request.method == "POST"
    return listing or (acting and request.GET.get("id") != "next_task")


def _is_work(request: Any, view: Any) -> bool:
    """Whether a request asks for another task, or answers or skips one."""
    from data_manager.api import ProjectActionsAPI
    from projects.api import ProjectNextTaskAPI
    from tasks.api import AnnotationsListAPI

    return isinstance(view, ProjectNextTaskAPI) or (
        request.method == "POST" and isinstance(view, ProjectActionsAPI | AnnotationsListAPI)
    )
