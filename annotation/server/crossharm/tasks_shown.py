"""What an annotator's browser gets of a task: no hazard, and nobody else's answers."""

from __future__ import annotations

from typing import Any

from tasks.serializers import BaseTaskSerializer

HIDDEN = frozenset(
    {"meta", "annotators", "annotations_results", "annotations_ids", "predictions", "comment_authors"}
)
"""Fields of a task that would tell the hazard, or what others said."""


def shown(task: dict[str, Any], user: int) -> dict[str, Any]:
    """The task as one annotator may see it; `user` is the annotator's number."""
    kept = {key: value for key, value in task.items() if key not in HIDDEN}
    if "annotations" in kept:
        kept["annotations"] = [one for one in kept["annotations"] if _author(one) == user]
    return kept


def _author(annotation: dict[str, Any]) -> Any:
    """Who made an annotation: a number, or an object with the number where it was expanded."""
    author = annotation.get("completed_by")
    return author.get("id") if isinstance(author, dict) else author


class TaskSerializer(BaseTaskSerializer):
    """Label Studio's serializer, cut down for everybody who does not run the project."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """The task as the user of the request may see it."""
        task: dict[str, Any] = super().to_representation(instance)
        request = self.context.get("request")
        user = getattr(request, "user", None)
        return task if user is None or user.is_staff else shown(task, user.id)
