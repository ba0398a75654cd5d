"""What is asked of the jobs in a database, without changing any."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Final

from mien.db import Database
from mien.errors import JobMissing
from mien.jobs.job import Status
from mien.jobs.rows import JobRow, row_of

CLI: Final = "cli"
"""The kind of jobs that commands make and run, with paths of one machine."""

PULL: Final = "pull:"
"""Begins the name of environments that only workers serve that come and ask over HTTP."""


class JobQueries:
    """Finds, lists and counts the jobs of the service."""

    def __init__(self, database: Database) -> None:
        self.database = database

    def row(self, id: str, owner: str | None = None) -> JobRow:
        """The job as it is now; raises JobMissing, also when it belongs to another owner, and JobUnreadable."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        with self.database.read() as connection:
            found = connection.execute(sa.select(jobs).where(jobs.c.id == id)).mappings().first()
        if found is None or (owner is not None and found["owner"] != owner):
            raise missing(id)
        return row_of(found)

    def rows(self, ids: Collection[str], owner: str | None = None) -> tuple[JobRow, ...]:
        """Those of these jobs that there are (of that owner), the oldest first."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        query = sa.select(jobs).where(jobs.c.id.in_(list(ids))).order_by(jobs.c.seq)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        with self.database.read() as connection:
            return tuple(row_of(row) for row in connection.execute(query).mappings())

    def page(
        self,
        *,
        owner: str | None = None,
        statuses: Sequence[Status] = (),
        before: int | None = None,
        limit: int = 50,
        only_workflows: bool = False,
        **equal: str | None,
    ) -> tuple[list[JobRow], int | None]:
        """The newest jobs whose ``seq`` is below ``before``, and where the next page begins (None: nowhere).

        ``equal`` are values of other columns, such as ``batch``, ``workflow``, ``kind``; None leaves a column out.
        ``only_workflows``: only jobs that were asked for as a workflow.
        """
        import sqlalchemy as sa

        from mien.db.tables import jobs

        wanted = [jobs.c[name] == value for name, value in equal.items() if value is not None]
        if equal.get("kind") is None:
            wanted.append(jobs.c.kind != CLI)
        if owner is not None:
            wanted.append(jobs.c.owner == owner)
        if only_workflows:
            wanted.append(jobs.c.workflow.is_not(None))
        if statuses:
            wanted.append(jobs.c.status.in_(statuses))
        if before is not None:
            wanted.append(jobs.c.seq < before)
        query = sa.select(jobs).where(*wanted).order_by(jobs.c.seq.desc()).limit(limit + 1)
        with self.database.read() as connection:
            found = [row_of(row) for row in connection.execute(query).mappings()]
        return found[:limit], found[limit - 1].seq if len(found) > limit else None

    def undispatched(self, limit: int = 100) -> tuple[JobRow, ...]:
        """Queued jobs of which the job engine does not know yet, in the order in which they are to be run."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        due = sa.or_(jobs.c.not_before.is_(None), jobs.c.not_before <= self.database.clock)
        ours = (jobs.c.kind != CLI, ~jobs.c.environment.startswith(PULL))
        waiting = (~jobs.c.dispatched, jobs.c.status == "queued", *ours, due)
        query = sa.select(jobs).where(*waiting).order_by(jobs.c.priority, jobs.c.seq).limit(limit)
        with self.database.read() as connection:
            return tuple(row_of(row) for row in connection.execute(query).mappings())

    def counts(self, owner: str | None = None) -> dict[Status, int]:
        """How many jobs of the service are in each state."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        query = sa.select(jobs.c.status, sa.func.count()).where(jobs.c.kind != CLI).group_by(jobs.c.status)
        if owner is not None:
            query = query.where(jobs.c.owner == owner)
        with self.database.read() as connection:
            return {status: count for status, count in connection.execute(query).all()}  # noqa: C416 (rows are no pairs to mypy)

    def waiting_in(self, prefix: str, owner: str | None = None) -> dict[str, int]:
        """How many jobs wait in each queue whose name begins so."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        wanted = [jobs.c.status == "queued", jobs.c.queue.startswith(prefix, autoescape=True)]
        if owner is not None:
            wanted.append(jobs.c.owner == owner)
        query = sa.select(jobs.c.queue, sa.func.count()).where(*wanted).group_by(jobs.c.queue)
        with self.database.read() as connection:
            return {str(queue): count for queue, count in connection.execute(query).all()}

    def oldest_queued(self) -> float | None:
        """When the job was submitted that waits longest; None when none waits."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        query = sa.select(sa.func.min(jobs.c.created_at)).where(jobs.c.status == "queued", jobs.c.kind != CLI)
        with self.database.read() as connection:
            moment: float | None = connection.execute(query).scalar_one()
        return moment

    def ahead_of(self, row: JobRow, most: int = 1000) -> int:
        """How many waiting jobs come before this one, counted up to ``most``."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        earlier = sa.or_(
            jobs.c.priority < row.priority, sa.and_(jobs.c.priority == row.priority, jobs.c.seq < row.seq)
        )
        some = sa.select(jobs.c.seq).where(jobs.c.status == "queued", jobs.c.kind != CLI, earlier).limit(most)
        with self.database.read() as connection:
            count: int = connection.execute(
                sa.select(sa.func.count()).select_from(some.subquery())
            ).scalar_one()
        return count


def missing(id: str) -> JobMissing:
    """The error for a job that is not there, or that somebody else owns."""
    return JobMissing(f"There is no job {id}.")
