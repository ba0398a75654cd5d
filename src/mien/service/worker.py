"""The jobs of one process: handing them over, and, where it is a worker, running them.

What a process needs to hand over jobs is little, and any number of these objects may do it. A worker exists once in a
process.
"""

from __future__ import annotations

import os
import platform
import secrets
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mien.db import Database
from mien.errors import DatabaseUnavailable
from mien.jobs.database import DatabaseStore
from mien.jobs.dispatcher import BODY, Dispatcher
from mien.jobs.engine import Body, JobEngine
from mien.jobs.executors import Executors
from mien.jobs.reaper import Heart, Reaper
from mien.jobs.rows import JobRow
from mien.service.events import Events
from mien.service.lanes import lanes_of, queue_of
from mien.service.repair import Repair
from mien.service.running import KindRunner, Runs
from mien.service.scratch import Keeps, clear_abandoned
from mien.service.settings import ServiceSettings
from mien.service.space import Space
from mien.service.system import memory
from mien.service.watch import Watch

if TYPE_CHECKING:
    from filelock import BaseFileLock
    from sqlalchemy import Connection

Role: TypeAlias = Literal["all", "api", "worker"]

EMBEDDED: Final = "embedded"
"""Name of the first worker on a SQLite file, under which it finds what it was doing after a crash, at once."""
DISPATCH_EVERY: Final = 0.1
"""Seconds between two looks for jobs that other processes stored."""
API_BURST: Final = 10
"""Jobs that a process without a worker hands over at a time; workers take the rest, and it has requests to answer."""
REPAIR_AFTER: Final = 20.0
"""Seconds of silence after which a job is looked at that should be under way."""
REPAIR_EVERY: Final = 10.0
KEEP_TASKS: Final = 3600.0
"""Seconds for which the engine's record of a finished task is kept."""
PRUNE_EVERY: Final = 300.0
STOPPING_SECONDS: Final = 10.0
"""Time for runs to notice that they have to stop."""


@dataclass(frozen=True)
class Hooks:
    """What others do when jobs end, and with errors that concern no caller."""

    on_begin: Callable[[Connection, JobRow], None] = lambda connection, row: None
    on_end: Callable[[Connection, JobRow], None] = lambda connection, row: None
    on_ended: Callable[[JobRow], None] = lambda row: None
    on_error: Callable[[str, BaseException], None] = lambda what, error: None


class Jobs:
    """Hands jobs over (``nudge``) and runs them (``start``, ``stop``).

    ``kinds`` does the work of each kind of job; ``bodies`` are further tasks of the engine, ``info`` what the worker
    says of itself, ``places`` how many runs the ComfyUI environments that it serves take at once.
    """

    def __init__(
        self,
        settings: ServiceSettings,
        database: Database,
        events: Events,
        assets: Keeps,
        engine: JobEngine,
        kinds: Mapping[str, KindRunner],
        *,
        watch: Watch | None = None,
        bodies: Mapping[str, Body] | None = None,
        hooks: Hooks | None = None,
        info: Callable[[], Mapping[str, Any]] = dict,
        places: Mapping[str, int] | None = None,
        space: Space | None = None,
    ) -> None:
        self._settings = settings
        self._database = database
        self._engine = engine
        self._events = events
        self._hooks = hooks or Hooks()
        self._kinds = kinds
        self._bodies = dict(bodies or {})
        self._info = info
        self._places = dict(places or {})
        self._done = threading.Event()
        self._threads: list[threading.Thread] = []
        self._lock: BaseFileLock | None = None
        self._heart: Heart | None = None
        self._role: Role | None = None
        self.space = space or Space(settings)
        self.store = DatabaseStore(database)
        self.executors = Executors(database)
        self.watch = watch or Watch(database)
        self.dispatcher = Dispatcher(self.store, engine, lambda row: queue_of(row, assets))

    def nudge(self, rows: Sequence[JobRow]) -> None:
        """Hand over jobs that were just stored, and take those out of the queue that were canceled.

        Never fails: what could not be done now is found later.
        """
        self._events.tell()
        self.dispatcher.dispatch_soon(rows)
        with suppress(DatabaseUnavailable):
            for row in rows:
                if row.status == "canceled":
                    self.dispatcher.cancel(row)

    def live(self) -> int:
        """How many workers live. Raises DatabaseUnavailable."""
        live = self.executors.live(self._settings.dead_after_seconds)
        return sum(executor.role != "api" for executor in live)

    def start(self, role: Role | None = None) -> None:
        """Take part as ``role`` (that of the settings when None).

        Raises JobError when a worker runs in this process already, OptionError, DatabaseUnavailable.
        """
        self._role = role or self._settings.role
        self._done.clear()
        id = _unique_id() if self._role == "api" else self._worker_id()
        every = self._settings.heartbeat_seconds
        heart = Heart(self.executors, id, self._role, self._described, every, self._vitals)
        if self._role != "api":
            self._begin_work(id, heart)
        heart.start()
        self._heart = heart
        every, burst = (1.0, API_BURST) if self._role == "api" else (DISPATCH_EVERY, None)
        self.dispatcher.start(every, self._failed("dispatcher"), burst)

    def _begin_work(self, id: str, heart: Heart) -> None:
        clear_abandoned(runs_folder(self._settings))
        self.watch.open()
        runs = Runs(
            store=self.store,
            events=self._events,
            settings=self._settings,
            kinds=self._kinds,
            folder=runs_folder(self._settings),
            worker=id,
            watch=self.watch,
            on_begin=self._hooks.on_begin,
            on_end=self._hooks.on_end,
            on_ended=self._hooks.on_ended,
            on_error=self._hooks.on_error,
            on_waiting=lambda row: self.dispatcher.wake(),
            check_space=self.space.check,
        )
        self._engine.start(id, lanes_of(self._settings, self._places), {BODY: runs.run, **self._bodies})
        reaper = Reaper(self._engine, self.executors, heart, id, self._settings.dead_after_seconds)
        repair = Repair(self.store, self._engine, runs)
        every = self._settings.heartbeat_seconds
        self._regularly("reaper", every, reaper.reap)
        self._regularly("repair", min(REPAIR_EVERY, 4 * every), lambda: repair.redispatch(REPAIR_AFTER))
        self._regularly("deadlines", 1.0, repair.fail_overdue)
        self._regularly("pruning", PRUNE_EVERY, lambda: self._engine.prune(KEEP_TASKS))

    def stop(self, seconds: float | None = None) -> bool:
        """Take up nothing more, wait for what runs, up to ``seconds`` (of the settings when None), hand the rest back.

        Returns whether all runs have ended; if not, something does not listen, and the process should end: its jobs
        are taken up by others.
        """
        if self._role is None:
            return True
        seconds = self._settings.shutdown_seconds if seconds is None else seconds
        self._done.set()
        clean = True
        if self._role != "api":
            self._engine.pause()
            self.watch.wait_for_none(seconds)
            self.watch.close()
            clean = self.watch.wait_for_none(STOPPING_SECONDS)
        for thread in self._threads:
            thread.join(STOPPING_SECONDS)
        self._threads.clear()
        self.dispatcher.stop()
        with suppress(DatabaseUnavailable):  # others find it, and all of a long queue
            self.dispatcher.dispatch_waiting(API_BURST)
        self._engine.stop()
        if self._heart is not None:
            self._heart.stop()
        if self._lock is not None:
            self._lock.release()
        self._role, self._heart, self._lock = None, None, None
        return clean

    def close(self) -> None:
        """Stop at once, and give back all connections."""
        self.stop(0)
        self._engine.close()

    def _regularly(self, name: str, every: float, act: Callable[[], object]) -> None:
        failed = self._failed(name)

        def loop() -> None:
            while not self._done.wait(every):
                try:
                    act()
                except Exception as error:  # the border of the thread: it goes on next time
                    failed(error)

        thread = threading.Thread(target=loop, name=f"mien-{name}", daemon=True)
        self._threads.append(thread)
        thread.start()

    def _failed(self, what: str) -> Callable[[BaseException], None]:
        return lambda error: self._hooks.on_error(what, error)

    def _worker_id(self) -> str:
        """A name for this process; the same one after a crash, where only one process can have it."""
        if not self._database.is_sqlite:
            return _unique_id()
        from filelock import FileLock, Timeout

        lock = FileLock(f"{self._database.engine.url.database}.worker.lock", thread_local=False)
        try:
            lock.acquire(timeout=0)
        except Timeout:
            return _unique_id()
        self._lock = lock
        return EMBEDDED

    def _vitals(self) -> dict[str, Any]:
        return {"memory": memory(), "disk": self.space.plain()}

    def _described(self) -> dict[str, Any]:
        lanes = () if self._role == "api" else lanes_of(self._settings, self._places)
        return {
            "host": platform.node(),
            "pid": os.getpid(),
            "queues": [lane.name for lane in lanes],
            "workers": self._settings.workers,
            "video_workers": self._settings.video_workers,
            "since": time.time(),
            **self._info(),
        }


def runs_folder(settings: ServiceSettings) -> Path:
    """For files of runs on the way, on this machine."""
    return settings.data_folder() / "scratch" / "runs"


def _unique_id() -> str:
    return f"{platform.node() or 'host'}-{os.getpid()}-{secrets.token_hex(4)}"
