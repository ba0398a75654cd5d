"""Watches over the runs of one process: who was canceled, overtaken by another run, or has had its time."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import Final

from mien.db import Database
from mien.errors import DatabaseUnavailable
from mien.service.attempt import Stoppable, Why

EVERY: Final = 0.3
"""Seconds between two looks."""


class Watch:
    """One query for all runs of the process, a few times a second while there are any."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._attempts: set[Stoppable] = set()
        self._lock = threading.Condition()
        self._closing = False
        self._thread: threading.Thread | None = None

    def open(self) -> None:
        """Let runs begin, also after ``close``."""
        with self._lock:
            self._closing = False

    @contextmanager
    def over(self, attempt: Stoppable) -> Iterator[None]:
        """Watch over a run for the length of the block."""
        with self._lock:
            self._attempts.add(attempt)
            if self._closing:
                attempt.stop("handed_back")
            if self._thread is None:
                self._thread = threading.Thread(target=self._loop, name="mien-watch", daemon=True)
                self._thread.start()
            self._lock.notify_all()
        try:
            yield
        finally:
            with self._lock:
                self._attempts.discard(attempt)
                self._lock.notify_all()

    @property
    def closing(self) -> bool:
        """Whether all runs are to stop."""
        return self._closing

    @property
    def count(self) -> int:
        """How many runs there are."""
        with self._lock:
            return len(self._attempts)

    def wait_for_none(self, seconds: float) -> bool:
        """Wait until no run is left; False when there still is one after so many seconds."""
        with self._lock:
            return self._lock.wait_for(lambda: not self._attempts, seconds)

    def hand_back(self) -> None:
        """Let all runs stop, also those that are yet to come, so that others go on with them."""
        with self._lock:
            self._closing = True
            for attempt in self._attempts:
                attempt.stop("handed_back")

    def close(self) -> None:
        """Hand all runs back, and end the thread as soon as there is none."""
        self.hand_back()
        with self._lock:
            self._lock.notify_all()
            thread = self._thread
        if thread is not None:
            thread.join(5)

    def _loop(self) -> None:
        while True:
            with self._lock:
                self._lock.wait_for(lambda: self._attempts or self._closing)
                if self._closing and not self._attempts:
                    self._thread = None  # the next run begins another one
                    return
                attempts = tuple(self._attempts)
            with suppress(DatabaseUnavailable):  # the runs find out themselves
                self._look(attempts)
            time.sleep(EVERY)

    def _look(self, attempts: tuple[Stoppable, ...]) -> None:
        import sqlalchemy as sa

        from mien.db.tables import jobs

        columns = (jobs.c.id, jobs.c.status, jobs.c.fence, jobs.c.cancel_requested)
        query = sa.select(*columns).where(jobs.c.id.in_([attempt.job for attempt in attempts]))
        with self._database.read() as connection:
            known = {id: tuple(rest) for id, *rest in connection.execute(query)}
        for attempt in attempts:
            why = _why(attempt, known.get(attempt.job))
            if why is not None:
                attempt.stop(why)


def _why(attempt: Stoppable, known: tuple[str, int, bool] | None) -> Why | None:
    if known is None:
        return "overtaken"
    status, fence, cancel_requested = known
    if attempt.fence not in (None, fence):
        return "overtaken"
    if cancel_requested or status not in ("queued", "running"):
        return "canceled"
    return "late" if time.monotonic() > attempt.deadline else None
