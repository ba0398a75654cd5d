"""What stands behind the routes of the gateway: workflows, tasks, leases, and the ComfyUI instances."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from mien.comfyui import ComfyInstance, ComfySettings, Environments, as_json
from mien.comfyui.settings import shown_url
from mien.errors import MienError
from mien.jobs.database import Also, DatabaseStore
from mien.jobs.executors import Executors
from mien.jobs.rows import JobRow
from mien.service.events import Events
from mien.service.leases import Leases
from mien.service.scratch import lost_results
from mien.service.settings import ServiceSettings
from mien.service.steps import COMFYUI, LOCAL
from mien.service.tasks import COMM, FACE_SWAP, Tasks, port_of
from mien.service.workflow_steps import WorkflowSteps

if TYPE_CHECKING:
    from mien.service.desk import Desk

COMFYUI_PORT: Final = 8188
"""Where ComfyUI listens unless told otherwise."""
FRESH: Final = 2.0
"""Seconds for which an answer of the instances is given again."""
_STATS: Final = ("os", "ram_total", "ram_free", "comfyui_version", "python_version", "pytorch_version")


class Gateway:
    """Safe to use from many threads. Parts are made when they are first asked for."""

    def __init__(
        self,
        settings: ServiceSettings,
        comfy: ComfySettings,
        environments: Environments,
        store: DatabaseStore,
        events: Events,
        desk: Callable[[], Desk],
        on_end: Also,
        engine_health: Callable[[], bool] | None = None,
        on_ended: Callable[[JobRow], None] = lambda row: None,
    ) -> None:
        """``engine_health`` says whether another face engine, which does the swaps, is there."""
        self.settings = settings
        self.comfy = comfy
        self._store = store
        self._desk = desk
        self._engine_health = engine_health
        self._lock = threading.Lock()
        self._asked_at = 0.0
        self.leases = Leases(store, events, settings, on_end, on_ended, self._lost)
        self.environments = environments
        self.ports: Mapping[str, int] = {
            FACE_SWAP: port_of(settings.remote_engine_url, 80)
            if settings.remote_engine_url
            else settings.port,
            COMM: port_of(comfy.urls[0], COMFYUI_PORT) if comfy.urls else COMFYUI_PORT,
        }

    @property
    def workflow_steps(self) -> WorkflowSteps:
        """Turns calls of workflows into steps."""
        return self._desk().workflow_steps

    @cached_property
    def tasks(self) -> Tasks:
        """Makes, shows and ends tasks."""
        return Tasks(
            self._store,
            self._desk().submissions,
            self.workflow_steps,
            self.leases,
            self.ports,
            self._engine_health is not None,
        )

    def _lost(self, row: JobRow) -> list[int]:
        return lost_results(row.job, self._desk().submissions.assets, row.owner)

    def can_swap(self) -> bool:
        """Whether somebody swaps faces: another face engine that answers, or a living worker."""
        if self._engine_health is not None:
            return self._engine_health()
        try:
            live = Executors(self._store.database).live(self.settings.dead_after_seconds)
        except MienError:
            return False
        return any(executor.role != "api" for executor in live)

    def describe(self) -> list[dict[str, Any]]:
        """All workflows, with parameters and where they run."""
        found = []
        workflows = self.workflow_steps.workflows
        for name in workflows.names:
            workflow = workflows.get(name)
            is_local = self.workflow_steps.environment(workflow) == LOCAL
            found.append(
                {
                    "name": name,
                    "version": workflow.version,
                    "title": workflow.title,
                    "description": workflow.description,
                    "environment": FACE_SWAP if is_local else COMM,
                    "parameters": workflow.schema_of_parameters(),
                }
            )
        return found

    def instances(self) -> list[dict[str, Any]]:
        """The state of each ComfyUI instance, as it is now."""
        with self._lock:
            if time.monotonic() - self._asked_at > FRESH:
                self.environments.probe()
                self._asked_at = time.monotonic()
        return [
            {"environment": found["name"], **instance}
            for found in as_json(self.environments.status())
            for instance in found["instances"]
        ]

    def queues(self) -> list[dict[str, Any]]:
        """How many prompts run and wait at each instance."""
        return [_asked(instance, _lengths) for instance in self._all()]

    def system_stats(self) -> list[dict[str, Any]]:
        """Versions, devices and memory of each instance."""
        return [_asked(instance, _stats) for instance in self._all()]

    def unserved(self, owner: str | None) -> list[dict[str, Any]]:
        """Environments of waiting jobs that no living worker serves, and how many wait there."""
        live = Executors(self._store.database).live(self.settings.dead_after_seconds)
        return [
            {"environment": queue, "waiting": count}
            for queue, count in self._store.waiting_in(COMFYUI, owner).items()
            if not any(executor.serves(queue) for executor in live)
        ]

    def _all(self) -> list[ComfyInstance]:
        return [one for name in self.environments.names for one in self.environments.instances(name)]


def _asked(instance: ComfyInstance, ask: Callable[[ComfyInstance], Mapping[str, Any]]) -> dict[str, Any]:
    url = shown_url(instance.url)
    try:
        return {"url": url, "connected": True, **ask(instance)}
    except MienError as error:
        return {"url": url, "connected": False, "error": str(error)}


def _lengths(instance: ComfyInstance) -> dict[str, int]:
    queue = instance.queue()
    return {"queue_running": len(queue.running), "queue_pending": len(queue.waiting)}


def _stats(instance: ComfyInstance) -> dict[str, Any]:
    stats = instance.system_stats()
    system = stats.get("system") or {}
    return {
        "system": {name: system[name] for name in _STATS if name in system},
        "devices": [dict(device) for device in stats.get("devices") or ()],
    }
