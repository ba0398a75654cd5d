"""Jobs in a database: those of the command line, like in a folder, and those of the service.

Every change is one transaction that locks the job's row. A run of a command holds a lease that it renews as long as
it lives; when its process dies, the lease ends and the job can be run again.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, Any

from mien.db import Database
from mien.errors import DatabaseUnavailable, JobBusy, JobError, JobExists, JobUnreadable
from mien.jobs import states
from mien.jobs.job import Failure, Job, Status, now
from mien.jobs.queries import CLI, JobQueries, missing
from mien.jobs.rows import JobRow, NewJob, again, columns_of, new_row, row_of, values_of
from mien.jobs.states import Change

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, Insert, RowMapping, Select

LEASE = 30.0
"""Seconds for which a run of a command holds its job without a sign of life."""

Also = Callable[["Connection", JobRow], None]
"""What happens in the transaction of a change, after it."""


class DatabaseStore(JobQueries):
    """A JobStore over a database, and what the service does with jobs beyond that."""

    def __init__(self, database: Database, *, lease: float = LEASE) -> None:
        super().__init__(database)
        self._lease = lease

    # The contract of all stores: the jobs of commands.

    def create(self, id: str) -> Job:
        """A new drafted job; raises JobExists."""
        return self.insert([NewJob(Job(id, now()), kind=CLI)])[0].job

    def get(self, id: str) -> Job:
        """The job as it is now; raises JobMissing, JobUnreadable."""
        return self._as_a_command_sees(self.row(id), self._now())

    def jobs(self, *statuses: Status) -> tuple[Job, ...]:
        """All jobs of commands in these states, the longest unchanged first; what cannot be read is left out."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        query = sa.select(jobs).where(jobs.c.kind == CLI).order_by(jobs.c.updated_at, jobs.c.seq)
        with self.database.read() as connection:
            moment = connection.execute(sa.select(self.database.clock)).scalar_one()
            found = connection.execute(query).mappings().all()
        seen = []
        for row in found:
            with suppress(JobUnreadable):
                seen.append(self._as_a_command_sees(row_of(row), moment))
        return tuple(job for job in seen if not statuses or job.status in statuses)

    def update(self, id: str, change: Change) -> Job:
        """Replace a job by what ``change`` makes of it."""
        moment = self._now()
        return self._as_a_command_sees(self._change(id, change, view=moment), moment)

    def delete(self, id: str) -> Job | None:
        """Remove a job of a command, also one that cannot be read; raises JobMissing, JobBusy."""
        with self.database.begin() as connection:
            found = _locked(connection, id)
            self._refuse_if_held(connection, found)
            self._remove(connection, id)
        try:
            return row_of(found).job
        except JobUnreadable:
            return None

    @contextmanager
    def claim(self, id: str, worker: str) -> Iterator[DatabaseClaim]:
        """Begin a run of a queued job of a command; the claim ends with the block."""

        def held(connection: Connection, row: JobRow) -> None:
            self._extend(connection, row.id, row.fence)

        def free(connection: Connection, found: RowMapping) -> None:
            if found["kind"] != CLI:
                raise JobError(f"The job {id} belongs to the service, whose workers run it.")
            self._refuse_if_held(connection, found)

        row = self._change(id, lambda job: states.begin(job, worker), first=free, also=held)
        done = threading.Event()
        renewing = threading.Thread(target=self._renew, args=(id, row.fence, done), daemon=True)
        renewing.start()
        try:
            yield DatabaseClaim(self, row)
        finally:
            done.set()
            renewing.join()
            with suppress(DatabaseUnavailable), self.database.begin() as connection:
                self._extend(connection, id, row.fence, ends=True)

    # Jobs of the service.

    def insert(
        self, new: Sequence[NewJob], also: Callable[[Connection], None] | None = None
    ) -> tuple[JobRow, ...]:
        """Store new jobs in one transaction, with what ``also`` does in it; raises JobExists."""
        from sqlalchemy.exc import IntegrityError

        values = [values_of(item) for item in new]
        try:
            with self.database.begin() as connection:
                connection.execute(_insertion(), _without_blanks(values))
                found = connection.execute(_numbers(), {"ids": [item.job.id for item in new]})
                numbers = {row.id: row.seq for row in found}
                if also is not None:
                    also(connection)
        except IntegrityError:
            raise JobExists(f"There is a job {new[0].job.id} already.") from None
        rows = (new_row(item, numbers[item.job.id], own) for item, own in zip(new, values, strict=True))
        return tuple(sorted(rows, key=lambda row: row.seq))

    def change(
        self,
        id: str,
        change: Change = lambda job: job,
        *,
        fence: int | None = None,
        owner: str | None = None,
        also: Also | None = None,
        **columns: Any,
    ) -> JobRow:
        """Change a job and its columns in one transaction, with what ``also`` does in it.

        Raises JobBusy when ``fence`` is given and another attempt has begun since, JobMissing, and what ``change``
        raises; then nothing has changed.
        """
        return self._change(id, change, fence=fence, owner=owner, also=also, columns=columns)

    def request_cancel(self, id: str, owner: str | None = None, also: Also | None = None) -> JobRow:
        """Cancel a job that waits; ask the worker of one that runs to stop. Raises JobError for one that has ended."""
        failure = Failure("canceled", "The job was canceled.", "canceled", 130, True)

        def canceled(job: Job) -> Job:
            if job.status == "running":
                return job
            if job.status == "drafted":
                job = replace(job, status="queued")
            return states.cancel(job, failure)

        return self.change(id, canceled, owner=owner, also=also, cancel_requested=True)

    def mark_dispatched(self, rows: Sequence[JobRow]) -> None:
        """Remember that the job engine knows of these jobs, where it is still the same run that is due."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        if not rows:
            return
        due = sa.and_(
            jobs.c.id == sa.bindparam("job"), jobs.c.dispatches == sa.bindparam("known"), ~jobs.c.dispatched
        )
        values = {"dispatched": True, "dispatches": sa.bindparam("number"), "queue": sa.bindparam("lane")}
        given = [
            {"job": row.id, "known": row.dispatch - 1, "number": row.dispatch, "lane": row.queue}
            for row in rows
        ]
        with self.database.begin() as connection:
            connection.execute(sa.update(jobs).where(due).values(**values), given)

    def remove(self, id: str) -> None:
        """Forget a job and its events, whatever its state; one that is not there is no error."""
        with self.database.begin() as connection:
            self._remove(connection, id)

    def _change(
        self,
        id: str,
        change: Change,
        *,
        fence: int | None = None,
        owner: str | None = None,
        view: float | None = None,
        first: Callable[[Connection, RowMapping], None] | None = None,
        also: Also | None = None,
        columns: Mapping[str, Any] | None = None,
    ) -> JobRow:
        import sqlalchemy as sa

        from mien.db.tables import jobs

        with self.database.begin() as connection:
            found = _locked(connection, id, owner)
            if fence is not None and found["fence"] != fence:
                raise JobBusy(f"The job {id} was taken over by another run.")
            if first is not None:
                first(connection, found)
            row = row_of(found)
            before = row.job if view is None else self._as_a_command_sees(row, view)
            changed = change(before)
            values: dict[str, Any] = dict(columns or {})
            if changed != before:
                changed = replace(changed, updated=now())
                requeued = again(before.status) if changed.status == "queued" != before.status else {}
                values = {**columns_of(changed), **requeued, **values}
            if before.status == "queued" and values.get("priority", row.priority) != row.priority:
                values.setdefault("dispatched", False)  # the engine is to know the job by another priority
            if values:
                values["updated_at"] = time.time()
                statement = sa.update(jobs).where(jobs.c.id == id).values(**values).returning(*jobs.c)
                row = row_of(connection.execute(statement).mappings().one())
            if also is not None:
                also(connection, row)
        return row

    def _as_a_command_sees(self, row: JobRow, moment: float) -> Job:
        """A running job of a command whose process died is queued, as in a folder."""
        alive = row.lease_until is not None and row.lease_until > moment
        if row.kind == CLI and row.status == "running" and not alive:
            return replace(row.job, status="queued")
        return row.job

    def _refuse_if_held(self, connection: Connection, found: RowMapping) -> None:
        import sqlalchemy as sa

        if found["lease_until"] is None:
            return
        if found["lease_until"] > connection.execute(sa.select(self.database.clock)).scalar_one():
            raise JobBusy(f"The job {found['id']} is being run by another process.")

    def _extend(self, connection: Connection, id: str, fence: int, *, ends: bool = False) -> None:
        import sqlalchemy as sa

        from mien.db.tables import jobs

        until: ColumnElement[float] | None = None if ends else self.database.clock + self._lease
        own = (jobs.c.id == id, jobs.c.fence == fence)
        connection.execute(sa.update(jobs).where(*own).values(lease_until=until))

    def _renew(self, id: str, fence: int, done: threading.Event) -> None:
        while not done.wait(self._lease / 4):
            with suppress(DatabaseUnavailable), self.database.begin() as connection:
                self._extend(connection, id, fence)

    def _now(self) -> float:
        import sqlalchemy as sa

        with self.database.read() as connection:
            moment: float = connection.execute(sa.select(self.database.clock)).scalar_one()
        return moment

    @staticmethod
    def _remove(connection: Connection, id: str) -> None:
        import sqlalchemy as sa

        from mien.db.tables import job_events, jobs

        connection.execute(sa.delete(job_events).where(job_events.c.job == id))
        connection.execute(sa.delete(jobs).where(jobs.c.id == id))


class DatabaseClaim:
    """The claim of one run; see ``store.Claim``."""

    def __init__(self, store: DatabaseStore, row: JobRow) -> None:
        self._store = store
        self._fence = row.fence
        self.job = row.job

    def update(self, change: Change) -> Job:
        """Change the job; raises JobBusy when another run has taken it over."""
        self.job = self._store.change(self.job.id, change, fence=self._fence).job
        return self.job


@cache
def _insertion() -> Insert:
    """One row, sent for each job without waiting for the one before: a statement with all rows, which could return
    their numbers, is another one for each count of them, and is read anew each time.

    Made once, because to put a statement together takes longer than to send it.
    """
    import sqlalchemy as sa

    from mien.db.tables import jobs

    return sa.insert(jobs).inline()


@cache
def _numbers() -> Select[tuple[str, int]]:
    import sqlalchemy as sa

    from mien.db.tables import jobs

    return sa.select(jobs.c.id, jobs.c.seq).where(jobs.c.id.in_(sa.bindparam("ids", expanding=True)))


def _without_blanks(values: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Without the columns that all rows leave empty: the time for a statement grows with each."""
    used = {name for row in values for name, value in row.items() if value is not None}
    return [{name: value for name, value in row.items() if name in used} for row in values]


def _locked(connection: Connection, id: str, owner: str | None = None) -> RowMapping:
    import sqlalchemy as sa

    from mien.db.tables import jobs

    found = connection.execute(sa.select(jobs).where(jobs.c.id == id).with_for_update()).mappings().first()
    if found is None or (owner is not None and found["owner"] != owner):
        raise missing(id)
    return found
