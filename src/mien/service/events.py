"""What happened to jobs, in order: for those who watch, and for those who come back and ask what they missed."""

from __future__ import annotations

import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mien.db import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection, Insert

EventType: TypeAlias = Literal["status", "step", "progress", "notice", "preview", "result"]

POLL: Final = 0.25
"""Seconds between two looks for what other processes wrote."""
KEPT_PROGRESS: Final = 200
"""Progress events of one job that are kept."""


@dataclass(frozen=True, slots=True)
class Event:
    """Something that happened to a job."""

    id: int
    """Grows with time, over all jobs."""
    job: str
    type: EventType
    data: Mapping[str, Any]
    at: float
    """Seconds since 1970."""


class Events:
    """The events of all jobs. Safe to use from many threads; raises DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._news = threading.Condition()

    def append(
        self, job: str, type: EventType, data: Mapping[str, Any], connection: Connection | None = None
    ) -> None:
        """Add an event, in the transaction of ``connection`` if one is given; then the caller calls ``tell``."""
        if connection is not None:
            _insert(connection, job, type, data)
            return
        with self._database.begin() as own:
            _insert(own, job, type, data)
        self.tell()

    def append_all(
        self, type: EventType, data: Mapping[str, Mapping[str, Any]], connection: Connection
    ) -> None:
        """Add an event to each of several jobs, in a transaction; then the caller calls ``tell``."""
        moment = time.time()
        values = [{"job": job, "type": type, "data": dict(said), "at": moment} for job, said in data.items()]
        connection.execute(_insertion(), values)

    def tell(self) -> None:
        """Wake those of this process who wait."""
        with self._news:
            self._news.notify_all()

    def since(self, job: str, after: int = 0, limit: int = 500) -> list[Event]:
        """The events of a job behind the one of that id, the oldest first."""
        import sqlalchemy as sa

        from mien.db.tables import job_events

        query = sa.select(job_events).where(job_events.c.job == job, job_events.c.id > after)
        with self._database.read() as connection:
            found = connection.execute(query.order_by(job_events.c.id).limit(limit)).mappings()
            return [Event(**row) for row in found]

    def wait(self, job: str, after: int, timeout: float) -> list[Event]:
        """Like ``since``, but waits up to ``timeout`` seconds for the first one."""
        deadline = time.monotonic() + timeout
        while True:
            if found := self.since(job, after):
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                return []
            with self._news:
                self._news.wait(min(left, POLL))

    def last(self) -> int:
        """The id of the newest event of all; 0 when there is none."""
        import sqlalchemy as sa

        from mien.db.tables import job_events

        with self._database.read() as connection:
            return connection.execute(sa.select(sa.func.max(job_events.c.id))).scalar_one() or 0

    def newest(self, job: str) -> int:
        """The id of the newest event of a job; 0 when there is none."""
        import sqlalchemy as sa

        from mien.db.tables import job_events

        query = sa.select(sa.func.max(job_events.c.id)).where(job_events.c.job == job)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one() or 0

    def changed(self, owner: str | None, after: int, timeout: float) -> tuple[list[str], int]:
        """The jobs of an owner (None: of anybody) that something happened to behind that event, and the newest event.

        Waits up to ``timeout`` seconds for the first one.
        """
        deadline = time.monotonic() + timeout
        while True:
            ids, newest = self._changed(owner, after)
            left = deadline - time.monotonic()
            if ids or left <= 0:
                return ids, newest
            after = newest
            with self._news:
                self._news.wait(min(left, POLL))

    def prune(self, job: str) -> None:
        """Remove old progress events of a job."""
        import sqlalchemy as sa

        from mien.db.tables import job_events

        own = sa.and_(job_events.c.job == job, job_events.c.type == "progress")
        newest = sa.select(job_events.c.id).where(own).order_by(job_events.c.id.desc())
        oldest_kept = newest.offset(KEPT_PROGRESS - 1).limit(1).scalar_subquery()
        with self._database.begin() as connection:
            connection.execute(sa.delete(job_events).where(own, job_events.c.id < oldest_kept))

    def _changed(self, owner: str | None, after: int) -> tuple[list[str], int]:
        import sqlalchemy as sa

        from mien.db.tables import job_events, jobs

        newest = sa.func.max(job_events.c.id)
        query = sa.select(job_events.c.job, newest).where(job_events.c.id > after).group_by(job_events.c.job)
        if owner is not None:
            query = query.join(jobs, jobs.c.id == job_events.c.job).where(jobs.c.owner == owner)
        with self._database.read() as connection:
            found = connection.execute(query.order_by(newest)).all()
        return [job for job, _ in found], max([after, *(id for _, id in found)])


@cache
def _insertion() -> Insert:
    """Without the ids of what is new, which nobody asks for. Made once, to save time."""
    import sqlalchemy as sa

    from mien.db.tables import job_events

    return sa.insert(job_events).inline()


def _insert(connection: Connection, job: str, type: EventType, data: Mapping[str, Any]) -> None:
    import sqlalchemy as sa

    from mien.db.tables import job_events

    if type == "preview":  # a picture that is seen once, and large
        old = (job_events.c.job == job, job_events.c.type == type)
        connection.execute(sa.delete(job_events).where(*old))
    values = {"job": job, "type": type, "data": dict(data), "at": time.time()}
    connection.execute(_insertion(), values)
