"""Label Studio's settings with ours on top: `DJANGO_SETTINGS_MODULE=crossharm.settings`."""

import os
from pathlib import Path

# Label Studio reads its settings while it defines them, so its base must be complete here before the rest.
from label_studio.core.settings.base import *  # noqa: F403
from label_studio.core.settings.label_studio import *  # noqa: F403
from label_studio.core.settings.label_studio import INSTALLED_APPS, MIDDLEWARE, REST_FRAMEWORK

INSTALLED_APPS.append("crossharm")
MIDDLEWARE.append("crossharm.access.OfflineTips")
REST_FRAMEWORK["DEFAULT_PERMISSION_CLASSES"] += ["crossharm.access.AnnotatorsAnnotate"]
TASK_MIXIN = "crossharm.access.TaskAccess"
ANNOTATION_MIXIN = "crossharm.access.AnnotationAccess"
TASK_SERIALIZER = "crossharm.tasks_shown.TaskSerializer"
CROSSHARM_LIMITS = Path(os.environ["CROSSHARM_LIMITS"])
CORS_ALLOW_ALL_ORIGINS = False
SESSION_COOKIE_SAMESITE = "Strict"
