"""What an annotator's browser gets of other people: that they exist, not who they are."""

from __future__ import annotations

from typing import Any

from users.serializers import BaseUserSerializer

IDENTIFYING = ("first_name", "last_name", "username", "email", "phone", "avatar")


def anonymous(person: dict[str, Any]) -> dict[str, Any]:
    """A person without what identifies them; the number stays, as the page refers to people by it."""
    return {**person, **dict.fromkeys(IDENTIFYING, ""), "avatar": None, "initials": "?"}


class UserSerializer(BaseUserSerializer):
    """Label Studio's serializer, cut down for everybody who does not run the project."""

    def to_representation(self, instance: Any) -> dict[str, Any]:
        """The person as the user of the request may see them."""
        person: dict[str, Any] = super().to_representation(instance)
        asking = getattr(self.context.get("request"), "user", None)
        known = asking is None or asking.id == instance.id or getattr(asking, "is_staff", False)
        return person if known else anonymous(person)
