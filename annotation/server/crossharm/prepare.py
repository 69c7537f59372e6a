"""Makes the database, the first admin and its token: `python -m crossharm.prepare`, before the server starts.

Reads CROSSHARM_PASSWORD and paths from the environment, and prints an event as JSON a line.
"""

from __future__ import annotations

import json
import os
import shutil
import sys
from pathlib import Path
from typing import Any


def main() -> None:
    """Migrate, then make what is missing."""
    _set_up(Path(os.environ["CROSSHARM_TEMPLATE"]))
    user = _admin(os.environ["CROSSHARM_ADMIN"], os.environ["CROSSHARM_PASSWORD"])
    organization = user.active_organization
    organization.jwt.legacy_api_tokens_enabled = os.environ["CROSSHARM_LEGACY_TOKENS"] == "true"
    organization.jwt.save()
    _write_token(user, Path(os.environ["CROSSHARM_TOKEN_FILE"]))
    _say(invitation=organization.token)


def _set_up(template: Path) -> None:
    """Start Django and bring the database up to date.

    An empty SQLite database begins as a copy of the first one that was ever made: migrating takes a minute or more.
    """
    import label_studio

    sys.path.insert(0, str(Path(label_studio.__file__).parent))
    import django
    from django.conf import settings

    database = settings.DATABASES["default"]
    name = Path(str(database["NAME"]))
    # Asked before Django starts, which touches the database.
    new = database["ENGINE"].endswith("sqlite3") and not name.exists()
    if new and template.exists():
        _copy(template, name)
    django.setup()
    if _migrate(new) and new:
        _copy(name, template)


def _migrate(new: bool) -> int:
    """Apply the migrations that are missing; returns how many those were."""
    from django.core.management import call_command
    from django.db import connection
    from django.db.migrations.executor import MigrationExecutor

    connection.prepare_database()
    if new:
        # Hundreds of small migrations would each wait for the disk; only a crash of the machine could do harm here.
        connection.cursor().execute("PRAGMA synchronous=OFF")
    executor = MigrationExecutor(connection)
    plan = executor.migration_plan(executor.loader.graph.leaf_nodes())
    _say(migrations=len(plan))
    if plan:
        call_command("migrate", no_color=True, verbosity=1, stdout=_Applied())
    return len(plan)


def _copy(source: Path, target: Path) -> None:
    temporary = target.with_name(f"{target.name}.{os.getpid()}.part")
    shutil.copyfile(source, temporary)
    temporary.replace(target)


class _Applied:
    """A stream that turns Django's "Applying ..." into events."""

    ending = ""

    def write(self, text: str) -> None:
        if "Applying" in text:
            _say(applied=text.split()[1].rstrip("."))

    def flush(self) -> None:
        sys.stdout.flush()


def _admin(email: str, password: str) -> Any:
    """The admin, made with an organisation if the database is new; an existing one keeps its password."""
    from organizations.models import Organization
    from users.models import User

    user = User.objects.filter(email=email).first()
    if user is None:
        user = User.objects.create_user(email=email, password=password, is_staff=True, is_superuser=True)
    organization = Organization.objects.first()
    if organization is None:
        organization = Organization.create_organization(created_by=user, title="crossharm")
    else:
        organization.add_user(user)
    user.active_organization = organization
    user.save(update_fields=["active_organization"])
    return user


def _write_token(user: Any, path: Path) -> None:
    """A personal access token, once, into a file that only its owner can read."""
    from jwt_auth.models import LSAPIToken

    if path.exists():
        return
    token = LSAPIToken.for_user(user).get_full_jwt()
    temporary = path.with_name(f".{path.name}.part")
    temporary.unlink(missing_ok=True)
    with os.fdopen(os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(token)
    temporary.rename(path)


def _say(**event: Any) -> None:
    sys.stdout.write(json.dumps(event) + "\n")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
