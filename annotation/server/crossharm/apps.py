"""Hooks the limits into the place where Label Studio chooses tasks."""

from __future__ import annotations

from typing import Any

from django.apps import AppConfig


class CrossharmConfig(AppConfig):
    """The app; it has no tables of its own."""

    name = "crossharm"

    def ready(self) -> None:
        """Wrap the one query that both the task list and the queue of next tasks are made from."""
        from data_manager.managers import PreparedTaskManager

        chosen = PreparedTaskManager.only_filtered

        def only_filtered(manager: Any, prepare_params: Any = None) -> Any:
            from crossharm.access import tasks_for

            return tasks_for(prepare_params.request, chosen(manager, prepare_params=prepare_params))

        PreparedTaskManager.only_filtered = only_filtered
