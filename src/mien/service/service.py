"""The service: its parts, put together. One object for each app; two of them share nothing but what they are given."""

from __future__ import annotations

import threading
from collections.abc import Callable, Mapping
from contextlib import ExitStack, suppress
from functools import cached_property
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, TextIO

from mien.comfyui import ComfySettings, Environments
from mien.comfyui.workflows import Workflows
from mien.db import Database, open_database
from mien.errors import DatabaseUnavailable, MienError
from mien.service.access import Access
from mien.service.accounts import Accounts
from mien.service.addresses import with_addresses
from mien.service.assets import Assets, fetch_settings
from mien.service.comfy_faults import EVERY as FAULTS
from mien.service.comfy_faults import ComfyFaults
from mien.service.comfy_steps import ComfySteps
from mien.service.composing import open_jobs
from mien.service.counters import Counters
from mien.service.deliveries import Deliveries
from mien.service.desk import Desk
from mien.service.events import Events
from mien.service.gateway import Gateway
from mien.service.health import Health
from mien.service.idempotency import Idempotency
from mien.service.keys import Keys
from mien.service.limits import Limits
from mien.service.logs import open_log
from mien.service.periodic import Periodic
from mien.service.remote_engine import RemoteEngine
from mien.service.remote_steps import REMOTE, RemoteSteps
from mien.service.retention import EVERY, Retention
from mien.service.sessions import Sessions
from mien.service.settings import ServiceSettings
from mien.service.space import Space
from mien.service.steps import COMFYUI
from mien.service.submitting import DOWNLOAD
from mien.service.system import System
from mien.service.traced import TracedChain
from mien.service.tracing import OFF, Tracing, open_tracing
from mien.service.uploads import Uploads
from mien.service.usage import Usage
from mien.service.warming import Warming
from mien.service.webhooks import Webhooks
from mien.service.worker import Hooks, Role
from mien.settings import Settings
from mien.storage import Chain, StorageSettings, open_storage

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mien.fetch import Fetcher
    from mien.jobs.job import JobStep
    from mien.jobs.rows import JobRow
    from mien.models import ModelStore
    from mien.pipeline.engine import Engine
    from mien.service.logs import Log
    from mien.service.steps import StepDone, StepRunner

AUDIT_LOG = "audit.jsonl"
"""The audit log in the data folder, where the settings name no other."""
SOON = 5.0
"""Seconds between two writings of what is counted."""
LATER = 600.0
"""Seconds between two tidyings."""


class Service:
    """All parts of the service over one database and one chain of storages. A context manager.

    Nothing runs beside requests until ``start``. ``engine`` makes the face engine of this process, on first use.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        engine_settings: Settings,
        database: Database,
        storage: Chain,
        log: Log,
        engine: Callable[[Settings], Engine] | None = None,
        comfy: ComfySettings | None = None,
        tracing: Tracing = OFF,
    ) -> None:
        self.settings = settings
        self.engine_settings = engine_settings.model_copy(
            update={"max_pixels": min(engine_settings.max_pixels, settings.max_pixels)}
        )
        self.database = database
        self.storage = TracedChain(storage, tracing) if tracing.is_on else storage
        self.tracing = tracing
        self.log = log
        self.stopping = False
        """Whether the service takes no new work any more."""
        self._probing = False
        self._make_engine = engine or _engine
        self._lock = threading.RLock()
        self._ends = ExitStack()
        self._ends.callback(tracing.close)
        self.comfy = comfy or ComfySettings.from_environment({})
        self.workflows = Workflows.from_settings(self.comfy)
        self.environments = Environments(self.comfy)
        self._ends.callback(self.environments.close)
        self._compose_access()
        self._compose_jobs()
        self._chores = self._make_chores()
        # Beside the others, since much to delete takes long.
        self._tidying = Periodic(self.log)
        self._tidying.add("retention", EVERY, self.retention.sweep)
        self.warming = Warming(lambda: self.models, lambda: self.desk.looking, self.log)

    def _compose_access(self) -> None:
        database, settings = self.database, self.settings
        self.keys = Keys(database)
        self.sessions = Sessions(database, self.keys)
        self.access = Access(settings, self.keys, self.sessions)
        self.usage = Usage(database)
        self.limits = Limits(database, settings, self.usage)
        self.idempotency = Idempotency(database)

    def _compose_jobs(self) -> None:
        database, settings, engine_settings = self.database, self.settings, self.engine_settings
        self.counters = Counters(database)
        self.space = Space(settings)
        self.accounts = Accounts(engine_settings.audit_log or settings.data_folder() / AUDIT_LOG)
        self.events = Events(database)
        self.assets = Assets(database, self.storage, settings, tracing=self.tracing, space=self.space)
        self.uploads = Uploads(database, self.storage, self.assets, settings)
        self.retention = Retention(database, self.assets, self.uploads, settings)
        self.webhooks = Webhooks(database, settings)
        self.deliveries = Deliveries(database, settings)
        self.remote = None if settings.remote_engine_url is None else RemoteEngine(settings)
        comfy = ComfySteps(self.environments, self.workflows, lambda: self.engine, settings)
        places = {f"{COMFYUI}{name}": count for name, count in self.environments.places().items()}
        self.jobs = open_jobs(
            settings,
            engine_settings,
            database,
            self.storage,
            self.assets,
            self.events,
            lambda: self.engine,
            hooks=Hooks(
                on_begin=self.webhooks.enqueue_for_job,
                on_end=self._on_end,
                on_ended=self._on_ended,
                on_error=self._on_error,
            ),
            measure=self._measure,
            tracing=self.tracing,
            environments={**({f"{COMFYUI}*": comfy} if places else {}), **self._remote_steps()},
            places=places,
            space=self.space,
        )
        self.store = self.jobs.store
        self.desk = Desk(
            settings,
            engine_settings,
            self.store,
            self.assets,
            self.limits,
            self.events,
            engine=lambda: self.engine,
            on_change=self._on_change,
            nudge=self.jobs.nudge,
            check_webhook=self.webhooks.check_url,
            tracing=self.tracing,
            workflows=self.workflows,
            environments=self.environments,
            comfy=self.comfy,
            accounts=self.accounts,
        )
        self.health = Health(
            settings,
            engine_settings,
            database,
            self.store,
            self.storage,
            lambda: self.models,
            self.space,
            environments=self.environments,
        )
        self.system = System(settings, engine_settings, database, self.storage, lambda: self.models)

    def _remote_steps(self) -> dict[str, StepRunner]:
        """The other face engine, if there is one."""
        if self.remote is None:
            return {}

        def fetcher() -> Fetcher:
            from mien.fetch import Fetcher

            return Fetcher(fetch_settings(self.settings))

        return {REMOTE: RemoteSteps(self.remote, lambda: self.engine, self.assets, self.settings, fetcher)}

    @cached_property
    def gateway(self) -> Gateway:
        """What stands behind the routes of the gateway."""
        return Gateway(
            self.settings,
            self.comfy,
            self.environments,
            self.store,
            self.events,
            lambda: self.desk,
            self._on_end,
            None if self.remote is None else self.remote.alive,
            self._on_ended,
        )

    @property
    def engine(self) -> Engine:
        """The face engine of this process; made on first use."""
        with self._lock:
            return self._made_engine

    @cached_property
    def _made_engine(self) -> Engine:
        # Jobs have one record of their own for all their steps, and their consent was checked before.
        settings = self.engine_settings.model_copy(update={"audit_log": None, "require_consent": False})
        return self._ends.enter_context(self._make_engine(settings))

    @cached_property
    def models(self) -> ModelStore:
        """The models of this machine; knowing them needs no engine."""
        from mien.models import ModelStore, load_catalogue

        return ModelStore(self.engine_settings, load_catalogue())

    def ping(self) -> None:
        """Ask the database for a sign of life. Raises DatabaseUnavailable."""
        import sqlalchemy as sa

        with self.database.read() as connection:
            connection.execute(sa.select(1))

    def start(self, role: Role | None = None) -> None:
        """Take part as ``role`` (that of the settings when None): run jobs, or only hand them over.

        Raises JobError when a worker runs in this process already, OptionError, DatabaseUnavailable.
        """
        self._begin_probes()
        self.jobs.start(role)
        self._chores.start()
        self._tidying.start()
        role = role or self.settings.role
        if self.settings.studio and self.settings.role == "all" and role != "worker":
            # In an API process beside workers of their own it would hold memory that previews may never ask for.
            self.warming.start()
        if role != "api":
            self.deliveries.start(lambda error: self._on_error("webhooks", error))

    def _begin_probes(self) -> None:
        """Look at the ComfyUI instances in the background, once and for all, where there are any."""
        with self._lock:
            if self.environments.names and not self._probing:
                self._probing = True
                self._ends.enter_context(self.environments)

    def stop(self, seconds: float | None = None) -> bool:
        """Finish in the time of the settings, hand the rest back; may be called when nothing was started.

        Returns whether all runs have ended; if not, the process should end, and others take up its jobs.
        """
        self.stopping = True
        clean = self.jobs.stop(seconds)
        self._chores.stop()
        self._tidying.stop()
        self.deliveries.stop()
        self.warming.stop()
        return clean

    def close(self) -> None:
        """Stop at once, write what is still in memory, let go of models and connections."""
        with ExitStack() as ends:
            ends.callback(self.database.close)
            ends.callback(self._ends.close)
            ends.callback(self._flush)
            ends.callback(self.jobs.close)
            ends.callback(self.idempotency.close)
            self.stop(0)

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _make_chores(self) -> Periodic:
        chores = Periodic(self.log)
        if self.environments.names:
            chores.add("comfyui", FAULTS, ComfyFaults(self.database, self.environments).exchange)
        chores.add("usage", SOON, self.usage.flush)
        chores.add("leases", SOON, lambda: self.gateway.leases.sweep())
        chores.add("counters", SOON, self._count)
        chores.add("rates", LATER, self.limits.rates.prune)
        chores.add("idempotency", LATER, self.idempotency.prune)
        return chores

    def _flush(self) -> None:
        with suppress(DatabaseUnavailable):
            self.usage.flush()
            self._count()

    def _count(self) -> None:
        if "_made_engine" in vars(self):  # to ask for it would make one
            for path, times in self._made_engine.runtime.opened.items():
                self.counters.reached("model_loads", times, model=Path(path).stem)
        self.counters.flush()

    def _on_change(self, connection: Connection, row: JobRow) -> None:
        """In the transaction of each change that a client makes of a job's state."""
        if row.has_ended:
            self._on_end(connection, row)

    def _on_end(self, connection: Connection, row: JobRow) -> None:
        """In the transaction in which a job ends."""
        seconds = sum(float(result.get("seconds") or 0.0) for result in row.results)
        if seconds:
            self.usage.add(connection, row.owner, compute_seconds=seconds)
        self.counters.job_changed(connection, row)
        self.webhooks.enqueue_for_job(connection, row)

    def _on_ended(self, row: JobRow) -> None:
        failure = row.job.failure
        self.log.info("job_ended", job=row.id, status=row.status, code=failure and failure.code)
        if row.kind != DOWNLOAD:
            try:
                self.accounts.record(row)
            except MienError as error:
                self.log.error("audit_failed", job=row.id, reason=str(error))

    def _on_error(self, what: str, error: BaseException) -> None:
        if isinstance(error, MienError):
            self.log.warning("work_failed", what=what, code=error.code, reason=str(error))
        else:
            self.log.error("work_failed", what=what, exc_info=error)

    def _measure(self, step: JobStep, media: Mapping[str, Any], done: StepDone) -> None:
        """Learn from what a step took how long the next one of its kind will take."""
        width, height = media.get("width"), media.get("height")
        if not width or not height:
            return
        with suppress(DatabaseUnavailable):
            self.desk.measurements.record(
                step,
                self.engine.processors,
                kind=str(media.get("kind")),
                frames=done.frames,
                width=int(width),
                height=int(height),
                seconds=done.seconds,
            )


def open_service(
    settings: ServiceSettings,
    engine_settings: Settings | None = None,
    storage_settings: StorageSettings | None = None,
    log_to: TextIO | None = None,
    comfy_settings: ComfySettings | None = None,
) -> Service:
    """Open a service on its database, which is made or updated when that is needed.

    ``engine_settings``, ``storage_settings`` and ``comfy_settings`` are those of the environment when unset; local
    files go below the data folder unless the storage settings name another. Raises OptionError for settings that
    cannot be used, DatabaseUnavailable.
    """
    tracing = open_tracing(settings)
    settings.data_folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    engine_settings = engine_settings or Settings.from_environment()
    storage_settings = storage_settings or StorageSettings.from_environment()
    if storage_settings.local_path is None:
        update = {"local_path": settings.data_folder() / "storage"}
        storage_settings = storage_settings.model_copy(update=update)
    log = open_log(settings, log_to)
    storage = open_storage(with_addresses(storage_settings, settings))
    comfy = comfy_settings or ComfySettings.from_environment()
    database = open_database(settings.database())
    return Service(settings, engine_settings, database, storage, log, comfy=comfy, tracing=tracing)


def _engine(settings: Settings) -> Engine:
    from mien.pipeline.engine import Engine

    return Engine(settings)
