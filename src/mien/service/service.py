"""The service: its parts, put together. One object for each app; two of them share nothing but what they are given."""

from __future__ import annotations

import threading
from contextlib import ExitStack, suppress
from functools import cached_property
from types import TracebackType
from typing import TYPE_CHECKING, TextIO

from mien.db import Database, open_database
from mien.errors import DatabaseUnavailable
from mien.jobs.database import DatabaseStore
from mien.service.access import Access
from mien.service.counters import Counters
from mien.service.health import Health
from mien.service.idempotency import Idempotency
from mien.service.keys import Keys
from mien.service.limits import Limits
from mien.service.logs import open_log
from mien.service.periodic import Periodic
from mien.service.sessions import Sessions
from mien.service.settings import ServiceSettings
from mien.service.system import System
from mien.service.usage import Usage
from mien.settings import Settings
from mien.storage import Chain, StorageSettings, open_storage

if TYPE_CHECKING:
    from mien.models import ModelStore
    from mien.pipeline.engine import Engine
    from mien.service.logs import Log

SOON = 5.0
"""Seconds between two writings of what is counted."""
LATER = 600.0
"""Seconds between two tidyings."""


class Service:
    """All parts of the service over one database and one chain of storages. A context manager."""

    def __init__(
        self,
        settings: ServiceSettings,
        engine_settings: Settings,
        database: Database,
        storage: Chain,
        log: Log,
    ) -> None:
        self.settings = settings
        self.engine_settings = engine_settings
        self.database = database
        self.storage = storage
        self.log = log
        self.store = DatabaseStore(database)
        self.keys = Keys(database)
        self.sessions = Sessions(database, self.keys)
        self.access = Access(settings, self.keys, self.sessions)
        self.usage = Usage(database)
        self.limits = Limits(database, settings, self.usage)
        self.idempotency = Idempotency(database)
        self.counters = Counters(database)
        self.health = Health(settings, engine_settings, database, self.store, storage, lambda: self.models)
        self.system = System(settings, engine_settings, database, storage, lambda: self.models)
        self.stopping = False
        """Whether the service takes no new work any more."""
        self._chores = self._make_chores()
        self._lock = threading.Lock()
        self._ends = ExitStack()

    @cached_property
    def _made_engine(self) -> Engine:
        from mien.pipeline.engine import Engine

        return self._ends.enter_context(Engine(self.engine_settings))

    @property
    def engine(self) -> Engine:
        """The engine that finds faces and makes previews in this process; made on first use."""
        with self._lock:
            return self._made_engine

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

    def start(self) -> None:
        """Begin what goes on beside requests."""
        self._chores.start()

    def stop(self) -> None:
        """End what was started, in order; may be called when nothing was."""
        self.stopping = True
        self._chores.stop()

    def _make_chores(self) -> Periodic:
        chores = Periodic(self.log)
        chores.add("usage", SOON, self.usage.flush)
        chores.add("counters", SOON, self.counters.flush)
        chores.add("rates", LATER, self.limits.rates.prune)
        chores.add("idempotency", LATER, self.idempotency.prune)
        return chores

    def __enter__(self) -> Service:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop, write what is still in memory, let go of models and connections."""
        self.stop()
        with ExitStack() as ends:
            ends.callback(self.database.close)
            ends.callback(self._ends.close)
            with suppress(DatabaseUnavailable):
                self.usage.flush()
                self.counters.flush()


def open_service(
    settings: ServiceSettings,
    engine_settings: Settings | None = None,
    storage_settings: StorageSettings | None = None,
    log_to: TextIO | None = None,
) -> Service:
    """Open a service on its database, which is made or updated when that is needed.

    ``engine_settings`` and ``storage_settings`` are those of the environment when unset; local files go below the
    data folder unless the storage settings name another. Raises OptionError for settings that cannot be used,
    DatabaseUnavailable.
    """
    settings.data_folder().mkdir(parents=True, exist_ok=True, mode=0o700)
    engine_settings = engine_settings or Settings.from_environment()
    storage_settings = storage_settings or StorageSettings.from_environment()
    if storage_settings.local_path is None:
        update = {"local_path": settings.data_folder() / "storage"}
        storage_settings = storage_settings.model_copy(update=update)
    log = open_log(settings, log_to)
    storage = open_storage(storage_settings)
    return Service(settings, engine_settings, open_database(settings.database()), storage, log)
