"""What happened to jobs, in order: for those who watch, and for those who come back and ask what they missed."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias

from mien.db import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection, Insert

EventType: TypeAlias = Literal["status", "step", "progress", "notice", "preview", "result"]

POLL: Final = 0.25
"""Seconds between two looks for what other processes wrote."""
LATE: Final = 5.0
"""Seconds after which no event is seen any more whose number was passed."""
RECENT: Final = 1000
"""Newest events that may have been passed by others when one begins to look."""
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
            self.sleep(left)

    def tail(self) -> Tail:
        """All events from now on."""
        return Tail(self)

    def newest(self, job: str) -> int:
        """The id of the newest event of a job; 0 when there is none."""
        import sqlalchemy as sa

        from mien.db.tables import job_events

        query = sa.select(sa.func.max(job_events.c.id)).where(job_events.c.job == job)
        with self._database.read() as connection:
            return connection.execute(query).scalar_one() or 0

    def behind(self, id: int) -> list[tuple[int, str]]:
        """Numbers and jobs of all events with higher numbers, the lowest first."""
        import sqlalchemy as sa

        from mien.db.tables import job_events

        query = sa.select(job_events.c.id, job_events.c.job).where(job_events.c.id > id)
        with self._database.read() as connection:
            return [(row.id, row.job) for row in connection.execute(query.order_by(job_events.c.id))]

    def last(self, count: int) -> list[int]:
        """The numbers of the newest events."""
        import sqlalchemy as sa

        from mien.db.tables import job_events

        query = sa.select(job_events.c.id).order_by(job_events.c.id.desc()).limit(count)
        with self._database.read() as connection:
            return list(connection.execute(query).scalars())

    def sleep(self, seconds: float) -> None:
        """Wait until there may be news, at most so long."""
        with self._news:
            self._news.wait(min(seconds, POLL))

    def prune(self, job: str) -> None:
        """Remove old progress events of a job."""
        import sqlalchemy as sa

        from mien.db.tables import job_events

        own = sa.and_(job_events.c.job == job, job_events.c.type == "progress")
        newest = sa.select(job_events.c.id).where(own).order_by(job_events.c.id.desc())
        oldest_kept = newest.offset(KEPT_PROGRESS - 1).limit(1).scalar_subquery()
        with self._database.begin() as connection:
            connection.execute(sa.delete(job_events).where(own, job_events.c.id < oldest_kept))


class Tail:
    """All events as they come to be seen, for one who asks again and again.

    Events get their numbers before their transactions end, so that one may be seen after another with a higher
    number. Those of the last ``LATE`` seconds are therefore looked at again.
    """

    def __init__(self, events: Events, clock: Callable[[], float] = time.monotonic) -> None:
        """From now on. Raises DatabaseUnavailable."""
        self._events = events
        self._clock = clock
        self._seen = dict.fromkeys(events.last(RECENT), clock())
        self._floor = min(self._seen, default=1) - 1

    def changed(self, timeout: float) -> list[str]:
        """The jobs that something happened to since, after up to ``timeout`` seconds. Raises DatabaseUnavailable."""
        deadline = time.monotonic() + timeout
        while True:
            found = self._new()
            left = deadline - time.monotonic()
            if found or left <= 0:
                return found
            self._events.sleep(left)

    def _new(self) -> list[str]:
        moment = self._clock()
        new = {id: job for id, job in self._events.behind(self._floor) if id not in self._seen}
        self._seen |= dict.fromkeys(new, moment)
        self._floor = max([self._floor, *(id for id, at in self._seen.items() if at < moment - LATE)])
        self._seen = {id: at for id, at in self._seen.items() if id > self._floor}
        return list(dict.fromkeys(new.values()))


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
