"""The job engine on DBOS.

DBOS exists once in a process: any number of DbosEngine objects may hand over tasks, one of them may work on them.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from mien.db.database import without_password
from mien.errors import DatabaseUnavailable, JobError
from mien.jobs.dbos_setup import NAME, PROTOCOL, SCHEMA, engine_for, hush, settings_for
from mien.jobs.engine import Body, Lane, Outcome, Task, TaskState

if TYPE_CHECKING:
    from dbos import DBOS, DBOSClient

    from mien.db import Database

_STATES: Final[Mapping[str, TaskState]] = {
    "ENQUEUED": "waiting",
    "DELAYED": "waiting",
    "PENDING": "running",
    "SUCCESS": "done",
    "ERROR": "failed",
    "MAX_RECOVERY_ATTEMPTS_EXCEEDED": "failed",
    "CANCELLED": "canceled",
}
_CHUNK: Final = 500
"""Ids in one query."""


class DbosEngine:
    """A JobEngine. ``most_deaths``: workers that may die over one task before it fails."""

    def __init__(self, database: Database, *, most_deaths: int = 20) -> None:
        self._database = database
        self._most_deaths = most_deaths
        self._lock = threading.Lock()
        self._running: DBOS | None = None

    @cached_property
    def _engine(self) -> Any:
        return engine_for(self._database)

    @property
    def _client(self) -> DBOSClient:
        with self._lock:
            return self._made_client

    @cached_property
    def _made_client(self) -> DBOSClient:
        from dbos import DBOSClient, DBOSPortableJSONSerializer

        hush()
        client = DBOSClient(
            system_database_engine=self._engine,
            dbos_system_schema=SCHEMA,
            serializer=DBOSPortableJSONSerializer(),
            application_name=NAME,
            lazy=True,
            retry_connection_errors=False,
        )
        # Whoever comes first makes the tables, also a process that only hands tasks over.
        client._sys_db.run_migrations()
        return client

    def put(self, tasks: Sequence[Task]) -> None:
        """Hand tasks over; those that are known already stay as they are."""
        if not tasks:
            return
        with self._explained():
            client = self._client  # makes the tables
            self._put(client, tasks)

    def _put(self, client: DBOSClient, tasks: Sequence[Task]) -> None:
        with self._engine.begin() as connection:
            for task in tasks:
                client.enqueue_in_transaction(
                    connection,
                    {
                        "workflow_name": task.body,
                        "queue_name": task.queue,
                        "workflow_id": task.id,
                        "app_version": PROTOCOL,
                        "priority": task.priority + 1,  # DBOS counts from 1
                    },
                    *task.arguments,
                )

    def outcomes(self, ids: Collection[str], *, values: bool = True) -> Mapping[str, Outcome]:
        """What became of these tasks; those that are not known are left out."""
        found: dict[str, Outcome] = {}
        with self._explained():
            for chunk in _chunks(list(ids)):
                for status in self._client.list_workflows(
                    workflow_ids=chunk, load_input=False, load_output=values
                ):
                    reason = str(status.error or "") if values else ""
                    found[status.workflow_id] = Outcome(_STATES[status.status], status.output, reason)
        return found

    def cancel(self, ids: Collection[str]) -> None:
        """Take tasks out of their queues."""
        if ids:
            with self._explained():
                self._client.cancel_workflows(list(ids))

    def forget(self, ids: Collection[str]) -> None:
        """Remove all trace of tasks that have ended."""
        with self._explained():
            for chunk in _chunks(list(ids)):
                self._client.delete_workflows(chunk)

    def start(self, worker: str, lanes: Sequence[Lane], bodies: Mapping[str, Body]) -> None:
        """Begin to work; raises JobError when a worker runs in this process already."""
        with self._explained():
            _ = self._client  # makes the tables
            self._running = _launch(self._engine, worker, lanes, bodies, self._most_deaths)

    def pause(self) -> None:
        """Take up no further task."""
        if self._running is not None:
            for event in self._running.background_thread_stop_events:
                event.set()

    def stop(self) -> None:
        """End the work."""
        if self._running is not None:
            from dbos import DBOS

            self.pause()
            self._running = None
            DBOS.destroy(destroy_registry=True)

    def owners(self) -> frozenset[str]:
        """The workers that hold unfinished tasks, dead or alive."""
        with self._explained():
            held = self._client.list_workflows(status="PENDING", load_input=False, load_output=False)
        return frozenset(status.executor_id for status in held if status.executor_id)

    def recover(self, dead: Collection[str]) -> None:
        """Let others run what these workers held."""
        from dbos import DBOS

        if dead and self._running is not None:
            with self._explained():
                # Guarded by the owner in the row: workers that do this at the same time do no harm.
                DBOS._recover_pending_workflows(sorted(dead))

    def prune(self, older_than: float, limit: int = 1000) -> int:
        """Forget up to ``limit`` tasks that ended so many seconds ago; returns how many."""
        from datetime import UTC, datetime, timedelta

        before = (datetime.now(UTC) - timedelta(seconds=older_than)).isoformat()
        ended = [name for name, state in _STATES.items() if state not in ("waiting", "running")]
        with self._explained():
            old = self._client.list_workflows(
                status=ended, completed_before=before, limit=limit, load_input=False, load_output=False
            )
        self.forget([status.workflow_id for status in old])
        return len(old)

    def close(self) -> None:
        """Give back all connections."""
        self.stop()
        with self._lock:
            if "_made_client" in self.__dict__:
                self._made_client.destroy()
                del self.__dict__["_made_client"]
            if "_engine" in self.__dict__:
                self._engine.dispose()
                del self.__dict__["_engine"]

    @contextmanager
    def _explained(self) -> Iterator[None]:
        from sqlalchemy.exc import DBAPIError, TimeoutError

        try:
            yield
        except (DBAPIError, TimeoutError) as error:
            reason = str(getattr(error, "orig", error)).strip().partition("\n")[0] or "no connection"
            where = without_password(self._database.url)
            raise DatabaseUnavailable(f"The database {where} cannot be used: {reason}.") from error


def _launch(engine: Any, worker: str, lanes: Sequence[Lane], bodies: Mapping[str, Body], deaths: int) -> DBOS:
    import dbos._dbos as inside
    from dbos import DBOS

    if inside._dbos_global_instance is not None:
        raise JobError(
            "A worker runs in this process already, and there can be only one; start the second one in a process of "
            "its own, or with the role api."
        )
    hush()
    running = DBOS(config=settings_for(engine, worker))
    try:
        for name, body in bodies.items():
            DBOS.workflow(name=name, max_recovery_attempts=deaths)(_named(body, name))
        for lane in lanes:
            # Kept in this process: queues in DBOS's tables have one limit for all processes, whatever their size,
            # and are read again at every look.
            running._registry._register_internal_queue(
                lane.name, worker_concurrency=lane.at_once, polling_interval_sec=lane.poll_seconds
            )
        DBOS.listen_queues([])
        DBOS.launch()
    except BaseException:
        with suppress(Exception):
            DBOS.destroy(destroy_registry=True)
        raise
    return running


def _named(body: Body, name: str) -> Callable[..., Any]:
    """DBOS tells functions apart by their qualified names."""

    def run(*arguments: Any) -> Any:
        return body(*arguments)

    run.__qualname__ = run.__name__ = name
    return run


def _chunks(ids: list[str]) -> Iterator[list[str]]:
    for start in range(0, len(ids), _CHUNK):
        yield ids[start : start + _CHUNK]
