"""Label Studio's settings with ours on top: `DJANGO_SETTINGS_MODULE=crossharm.settings`."""

import os
from pathlib import Path

# Label Studio reads its settings while it still defines them. So its base comes first, whole, and so do the hooks:
# Django REST framework fixes the permissions the first time that anything looks at them.
from core.settings.base import *  # noqa: F403
from core.settings.base import INSTALLED_APPS, MIDDLEWARE, REST_FRAMEWORK

REST_FRAMEWORK["DEFAULT_PERMISSION_CLASSES"] += ["crossharm.access.AnnotatorsAnnotate"]
INSTALLED_APPS.append("crossharm")
MIDDLEWARE.append("crossharm.access.Pages")

from label_studio.core.settings.label_studio import *  # noqa: E402, F403

TASK_MIXIN = "crossharm.access.TaskAccess"
ANNOTATION_MIXIN = "crossharm.access.AnnotationAccess"
TASK_SERIALIZER = "crossharm.tasks_shown.TaskSerializer"
USER_SERIALIZER = "crossharm.people_shown.UserSerializer"
CROSSHARM_LIMITS = Path(os.environ["CROSSHARM_LIMITS"])
CORS_ALLOW_ALL_ORIGINS = False
SESSION_COOKIE_SAMESITE = "Strict"
