"""Tasks for workers that come and ask over HTTP: each is lent for a while, and lent again when nothing is heard.

A lease is a run like any other: it begins an attempt with a fence, so whoever comes back late changes nothing. A
worker of the service and one that asks may want the same task; the first one gets it.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from mien.errors import Canceled, JobBusy, JobError, MienError, OptionError
from mien.jobs import states
from mien.jobs.database import Also, DatabaseStore
from mien.jobs.failures import failure_of
from mien.jobs.job import Failure, Finished, Job
from mien.jobs.rows import JobRow, row_of
from mien.service.events import Events, EventType
from mien.service.retrying import lost
from mien.service.settings import ServiceSettings

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

SHORTEST, LONGEST = 5.0, 3600.0
"""Seconds of a lease."""


@dataclass(frozen=True, slots=True)
class Lent:
    """A task that somebody has for now."""

    row: JobRow
    token: str
    """Proves who has it; known to nobody else."""
    until: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Leases:
    """Lends tasks. Safe to use from many threads and processes; raises DatabaseUnavailable.

    ``on_end`` is called in the transaction in which a task ends.
    """

    store: DatabaseStore
    events: Events
    settings: ServiceSettings
    on_end: Also = lambda connection, row: None

    def take(
        self, environments: Sequence[str], worker: str, owner: str | None, seconds: float | None = None
    ) -> Lent | None:
        """Lend the task that is due next in one of these environments; None when there is none.

        ``owner`` None: whoever the task belongs to. Raises OptionError for a lease that is too short or too long.
        """
        seconds = self._checked(seconds)
        while (row := self._next(self._due(environments, owner))) is not None:
            with suppress(JobBusy):  # somebody else was faster
                if not self._settled(row):
                    return self._lend(row, worker, seconds)
        return None

    def sweep(self) -> int:
        """Put tasks back into the queue of whose worker nothing was heard for too long; returns how many."""
        count = 0
        while (row := self._next([self._silent()])) is not None:
            with suppress(JobBusy, JobError):  # somebody else was faster, or the worker has spoken after all
                if not self._settled(row):
                    told = {"status": "queued", "attempt": row.fence}
                    self._tell(row, states.hand_back, told, lease_until=None)
                count += 1
        return count

    def _settled(self, row: JobRow) -> bool:
        """Whether a task is over instead of being lent again: canceled meanwhile, or lost too often."""
        if row.status == "running" and row.cancel_requested:
            stopped = failure_of(Canceled("The job was canceled."))
            self._end(row, lambda job: states.cancel(_stepped_back(job), stopped), "canceled")
            return True
        if row.tries >= self.settings.max_attempts:
            failure = lost(row.tries)
            self._end(row, lambda job: states.fail(_running(job), failure), "failed")
            return True
        return False

    def extend(
        self, id: str, token: str, seconds: float | None = None, progress: Mapping[str, Any] | None = None
    ) -> Lent:
        """A sign of life, with how far the task is. Raises JobBusy when the lease is lost, Canceled when the task is
        not wanted any more.
        """
        seconds = self._checked(seconds)
        row = self.held(id, token)
        if row.cancel_requested:
            raise Canceled("The task was canceled; stop working on it and report that it failed.")
        told: dict[str, Any] = {} if progress is None else {"progress": dict(progress)}
        until = self._until(seconds)

        def also(connection: Connection, row: JobRow) -> None:
            if progress is not None:
                self.events.append(id, "progress", progress, connection)

        row = self._change(row, lambda job: job, also, lease_until=until, **told)
        return Lent(row, token, row.lease_until or 0.0)

    def complete(
        self, id: str, token: str, results: Sequence[Mapping[str, Any]], external: Mapping[str, Any]
    ) -> JobRow:
        """End a task well. The same call again, after a lost answer, changes nothing. Raises JobBusy."""
        known = self._seen(id, token)
        if known.status == "completed":
            return known
        row = self.held(id, token)

        def completed(job: Job) -> Job:
            steps = tuple(
                replace(step, status="completed", finished=step.finished or Finished("", ""))
                for step in job.steps
            )
            return states.complete(replace(job, steps=steps))

        kept = {"results": list(results), "external": {**row.external, **external}}
        return self._end(row, completed, "completed", **kept)

    def fail(self, id: str, token: str, error: MienError, *, again: bool) -> JobRow:
        """End a task badly, or put it back into the queue for another try. Raises JobBusy."""
        known = self._seen(id, token)
        if known.has_ended:
            return known
        row = self.held(id, token)
        failure = failure_of(error, 0)
        if row.cancel_requested:
            stopped = failure_of(Canceled("The job was canceled."))
            return self._end(row, lambda job: states.cancel(_stepped_back(job), stopped), "canceled")
        if again and row.tries < self.settings.max_attempts:
            told = {"status": "queued", "attempt": row.fence, "failure": failure.message}
            return self._tell(row, lambda job: states.hand_back(job, failure), told, lease_until=None)
        return self._end(row, lambda job: states.fail(_failed(job, failure), failure), "failed")

    def give_back(self, id: str, token: str) -> JobRow:
        """Put a task back that could not be begun, at no cost to it. Raises JobBusy."""
        row = self.held(id, token)
        told = {"status": "queued", "attempt": row.fence}
        return self._tell(row, states.hand_back, told, lease_until=None, tries=max(row.tries - 1, 0))

    def _next(self, wanted: Sequence[ColumnElement[bool]]) -> JobRow | None:
        import sqlalchemy as sa

        from mien.db.tables import jobs

        query = sa.select(jobs).where(*wanted)
        with self.store.database.read() as connection:
            query = query.order_by(jobs.c.priority, jobs.c.seq).limit(1)
            found = connection.execute(query).mappings().first()
        return None if found is None else row_of(found)

    def _lend(self, row: JobRow, worker: str, seconds: float) -> Lent:
        token = secrets.token_urlsafe(32)
        columns: dict[str, Any] = {
            # The job engine may know of the task; what it would run is out of date from now on.
            "dispatched": True,
            "dispatches": row.dispatches + 1,
            "tries": row.tries + 1,
            "not_before": None,
            "progress": None,
            "lease_token": _hash(token),
            "lease_until": self._until(seconds),
        }

        def begun(job: Job) -> Job:
            if job.status not in ("queued", "running"):
                raise JobBusy(f"The task {job.id} was taken by somebody else.")
            return states.begin(job, worker)

        row = self._tell(row, begun, {"status": "running", "attempt": row.fence + 1}, **columns)
        return Lent(row, token, row.lease_until or 0.0)

    def _due(self, environments: Sequence[str], owner: str | None) -> list[ColumnElement[bool]]:
        """Tasks that wait, and tasks of whose worker nothing was heard for too long."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        clock = self.store.database.clock
        waits = sa.and_(
            jobs.c.status == "queued", sa.or_(jobs.c.not_before.is_(None), jobs.c.not_before <= clock)
        )
        silent = sa.and_(
            jobs.c.status == "running", jobs.c.lease_token.is_not(None), jobs.c.lease_until < clock
        )
        found = [
            sa.or_(waits, silent),
            jobs.c.workflow.is_not(None),
            jobs.c.environment.in_(list(environments)),
        ]
        return found if owner is None else [*found, jobs.c.owner == owner]

    def _silent(self) -> ColumnElement[bool]:
        import sqlalchemy as sa

        from mien.db.tables import jobs

        over = jobs.c.lease_until < self.store.database.clock
        return sa.and_(jobs.c.status == "running", jobs.c.lease_token.is_not(None), over)

    def _seen(self, id: str, token: str) -> JobRow:
        """The task, if that token was the last one for it."""
        row = self.store.row(id)
        if row.lease_token is None or not hmac.compare_digest(row.lease_token, _hash(token)):
            raise JobBusy(f"The lease of the task {id} is not yours any more; leave the task alone.")
        return row

    def held(self, id: str, token: str) -> JobRow:
        """The task that was lent with that token. Raises JobBusy when it is not any more."""
        row = self._seen(id, token)
        if row.status != "running" or row.lease_until is None:
            raise JobBusy(f"The task {id} is {row.status}; leave it alone.")
        return row

    def _end(self, row: JobRow, change: states.Change, told: str, **columns: Any) -> JobRow:
        return self._tell(
            row, change, {"status": told, "attempt": row.fence}, ends=True, lease_until=None, **columns
        )

    def _tell(
        self,
        row: JobRow,
        change: states.Change,
        data: Mapping[str, Any],
        *,
        ends: bool = False,
        **columns: Any,
    ) -> JobRow:
        def also(connection: Connection, changed: JobRow) -> None:
            self._append(connection, changed.id, "status", data)
            if ends and changed.results:
                self._append(connection, changed.id, "result", {"results": list(changed.results)})
            if ends:
                self.on_end(connection, changed)

        if ends:
            columns["expires_at"] = self._until(float(row.request.get("retain") or self.settings.retain_jobs))
        changed = self._change(row, change, also, **columns)
        self.events.tell()
        return changed

    def _append(self, connection: Connection, id: str, type: EventType, data: Mapping[str, Any]) -> None:
        self.events.append(id, type, data, connection)

    def _change(self, row: JobRow, change: states.Change, also: Also, **columns: Any) -> JobRow:
        return self.store.change(row.id, change, fence=row.fence, also=also, **columns)

    def _until(self, seconds: float) -> ColumnElement[float]:
        return self.store.database.clock + seconds

    def _checked(self, seconds: float | None) -> float:
        if seconds is None:
            return self.settings.lease_seconds
        if not SHORTEST <= seconds <= LONGEST:
            raise OptionError(f"A lease lasts {SHORTEST:g} to {LONGEST:g} seconds, not {seconds:g}.")
        return seconds


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _running(job: Job) -> Job:
    return replace(job, status="running")


def _failed(job: Job, failure: Failure) -> Job:
    return states.fail_step(job, 0, failure)


def _stepped_back(job: Job) -> Job:
    return states.interrupt_step(job, 0)
