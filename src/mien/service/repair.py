"""Finds jobs that nothing drives any more, and those that have waited too long.

A job and the engine's task for it are in two tables, and nothing holds them together but this: whatever gets lost
between them, the table of jobs is right, and the job is handed over anew.
"""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from mien.errors import JobError, JobMissing
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.dispatcher import task_id
from mien.jobs.engine import JobEngine
from mien.jobs.job import Job
from mien.jobs.queries import CLI, PULL
from mien.jobs.rows import JobRow, row_of
from mien.service.running import Runs, overdue

if TYPE_CHECKING:
    from sqlalchemy import Select

LIMIT = 500
"""Jobs that are looked at in one go."""


@dataclass(frozen=True)
class Repair:
    """Both are safe beside any number of others that do the same. Raise DatabaseUnavailable."""

    store: DatabaseStore
    engine: JobEngine
    runs: Runs

    def redispatch(self, quiet_for: float) -> int:
        """Let jobs be handed over anew that no task of the engine stands behind; returns how many.

        Only those that did not change for ``quiet_for`` seconds.
        """
        rows = self._driven(quiet_for)
        known = self.engine.outcomes([task_id(row) for row in rows], values=False)
        count = 0
        for row in rows:
            outcome = known.get(task_id(row))
            if outcome is None or outcome.state not in ("waiting", "running"):
                with suppress(JobError, JobMissing):  # it went on in this moment
                    self.store.change(row.id, _waiting, fence=row.fence, dispatched=False)
                    count += 1
        return count

    def fail_overdue(self) -> int:
        """End jobs that were not begun in time; returns how many."""
        count = 0
        for row in self._overdue():
            with suppress(JobError, JobMissing):  # it was begun in this moment
                self.runs.fail_waiting(row, overdue())
                count += 1
        return count

    def _driven(self, quiet_for: float) -> list[JobRow]:
        import sqlalchemy as sa

        from mien.db.tables import jobs

        driven = sa.or_(jobs.c.status == "running", sa.and_(jobs.c.status == "queued", jobs.c.dispatched))
        quiet = jobs.c.updated_at < self.store.database.clock - quiet_for
        # What a worker fetched over HTTP has no task; it is handed over when its lease has ended.
        free = sa.or_(jobs.c.lease_until.is_(None), jobs.c.lease_until < self.store.database.clock)
        ours = (jobs.c.kind != CLI, ~jobs.c.environment.startswith(PULL))
        return self._rows(sa.select(jobs).where(driven, quiet, free, *ours).order_by(jobs.c.seq))

    def _overdue(self) -> list[JobRow]:
        import sqlalchemy as sa

        from mien.db.tables import jobs

        late = (jobs.c.status == "queued", jobs.c.fence == 0, jobs.c.start_by < self.store.database.clock)
        return self._rows(sa.select(jobs).where(*late, jobs.c.kind != CLI).order_by(jobs.c.seq))

    def _rows(self, query: Select[Any]) -> list[JobRow]:
        with self.store.database.read() as connection:
            return [row_of(row) for row in connection.execute(query.limit(LIMIT)).mappings()]


def _waiting(job: Job) -> Job:
    if job.status == "running":
        return states.lose(job)
    if job.status != "queued":
        raise JobError(f"The job {job.id} is {job.status}.")
    return job
