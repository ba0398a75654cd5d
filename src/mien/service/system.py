"""The service as an operator sees it: versions, machines, queues, memory."""

from __future__ import annotations

import os
import platform
import time
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from mien._version import __version__
from mien.db import Database
from mien.jobs.executors import Executor, Executors
from mien.jobs.queries import CLI
from mien.service.settings import ServiceSettings
from mien.storage import Chain

if TYPE_CHECKING:
    from mien.models.store import ModelStore
    from mien.settings import Settings

PACKAGES: Final = (
    "onnxruntime",
    "ai-edge-litert",
    "av",
    "opencv-python-headless",
    "dbos",
    "fastapi",
    "uvicorn",
)


class System:
    """Describes one service and the processes that work for it."""

    def __init__(
        self,
        settings: ServiceSettings,
        engine_settings: Settings,
        database: Database,
        storage: Chain,
        models: Callable[[], ModelStore],
    ) -> None:
        self._settings = settings
        self._engine_settings = engine_settings
        self._database = database
        self._storage = storage
        self._models = models
        self.started_at = time.time()

    def document(self) -> dict[str, Any]:
        """Everything at once; moments are seconds since 1970. Raises DatabaseUnavailable."""
        return {
            "version": __version__,
            "role": self._settings.role,
            "started_at": self.started_at,
            "queue": {"jobs": self.queues()},
            "workers": [self._worker(executor) for executor in self.executors()],
            "devices": self._devices(),
            "storage": {
                "kinds": [storage.name for storage in self._storage.storages],
                "privacy": self._storage.privacy,
            },
            "memory": memory(),
            "software": {"python": platform.python_version(), **_versions()},
            "models": self._installed(),
        }

    def executors(self) -> tuple[Executor, ...]:
        """The processes that live."""
        return Executors(self._database).live(self._settings.dead_after_seconds)

    def queues(self) -> list[dict[str, Any]]:
        """How many jobs there are by queue and state, and since when the oldest one that waits does."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        query = (
            sa.select(jobs.c.queue, jobs.c.status, sa.func.count(), sa.func.min(jobs.c.created_at))
            .where(jobs.c.kind != CLI)
            .group_by(jobs.c.queue, jobs.c.status)
            .order_by(jobs.c.queue, jobs.c.status)
        )
        with self._database.read() as connection:
            found = connection.execute(query).all()
        return [
            {"queue": queue or "undecided", "status": status, "count": count, **_waiting(status, oldest)}
            for queue, status, count, oldest in found
        ]

    def _worker(self, executor: Executor) -> dict[str, Any]:
        return {
            "id": executor.id,
            "role": executor.role,
            "started_at": executor.started_at,
            "seen_at": executor.seen_at,
            **executor.info,
        }

    def _devices(self) -> list[dict[str, Any]]:
        settings = self._engine_settings
        gpus = [name for name in settings.providers if name != "cpu"]
        found: list[dict[str, Any]] = [
            {"provider": name, "device": device, "precision": settings.precision}
            for name in gpus
            for device in settings.device_ids
        ]
        if "cpu" in settings.providers:
            cores = os.cpu_count()
            found.append(
                {
                    "provider": "cpu",
                    "cores": cores,
                    "threads": settings.threads or cores,
                    "precision": settings.precision,
                }
            )
        return found

    def _installed(self) -> list[str]:
        models = self._models()
        return sorted(id for id in models.catalogue if models.is_here(id))


def memory() -> dict[str, int]:
    """Bytes of memory: of this process, and where the system tells it, of the machine and free."""
    found: dict[str, int] = {}
    status = _fields(Path("/proc/self/status"))
    if "VmRSS" in status:
        found["process"] = status["VmRSS"]
    machine = _fields(Path("/proc/meminfo"))
    if "MemTotal" in machine:
        found["total"] = machine["MemTotal"]
        found["available"] = machine.get("MemAvailable", 0)
    return found


def _fields(path: Path) -> Mapping[str, int]:
    """Lines like ``VmRSS:  1234 kB`` of a file of the kernel, in bytes; empty where there is none."""
    try:
        lines = path.read_text().splitlines()
    except OSError:
        return {}
    words = (line.split() for line in lines)
    return {parts[0].rstrip(":"): int(parts[1]) * 1024 for parts in words if parts[-1:] == ["kB"]}


def _versions() -> dict[str, str]:
    found = {}
    for name in PACKAGES:
        try:
            found[name] = metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def _waiting(status: str, oldest: float) -> dict[str, float]:
    return {"oldest_seconds": round(max(0.0, time.time() - oldest), 1)} if status == "queued" else {}
