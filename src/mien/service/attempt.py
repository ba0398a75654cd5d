"""One run of a job: what it may still write, what it tells while it lasts, and why it has to stop."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, TypeVar

from mien.errors import DatabaseUnavailable
from mien.jobs.database import Also, DatabaseStore
from mien.jobs.rows import JobRow
from mien.jobs.states import Change
from mien.pipeline.progress import Cancel
from mien.service.events import Events, EventType

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mien.pipeline.progress import Progress

Why: TypeAlias = Literal["canceled", "overtaken", "late", "handed_back"]
"""Why a run has to stop: on request, another run has begun, its time is over, or its worker ends."""

T = TypeVar("T")

PATIENCE: Final = 60.0
"""Seconds for which a run waits for a database that is away."""
TOLD_EVERY: Final = 0.5
"""Seconds between two stored progress events."""
PRUNED_EVERY: Final = 100


class Stoppable:
    """Work for a job that may have to stop: ``cancel`` is set then, and ``why`` says the reason."""

    def __init__(self, job: str, fence: int | None, deadline: float) -> None:
        """``fence`` None: whichever run of the job is under way; ``deadline`` is on the monotonic clock."""
        self.job = job
        self.fence = fence
        self.deadline = deadline
        self.cancel = Cancel()
        self._why: Why | None = None
        self._lock = threading.Lock()

    @property
    def why(self) -> Why | None:
        """Why the work has to stop; None while it may go on."""
        return self._why

    def stop(self, why: Why) -> None:
        """Ask the work to stop; the first reason counts."""
        with self._lock:
            self._why = self._why or why
        self.cancel.set()


class Attempt(Stoppable):
    """A run that has begun. All writes go through it; they raise JobBusy once another run has begun."""

    def __init__(self, store: DatabaseStore, events: Events, row: JobRow, deadline: float) -> None:
        """``deadline`` is on the monotonic clock."""
        super().__init__(row.id, row.fence, deadline)
        self._store = store
        self._events = events
        self.row = row
        self._told_at = 0.0
        self._told = 0

    def change(
        self,
        change: Change = lambda job: job,
        *told: tuple[EventType, Mapping[str, Any]],
        also: Also | None = None,
        **columns: Any,
    ) -> JobRow:
        """Change the job and its columns, with the events of it and what ``also`` does, in one transaction."""

        def with_events(connection: Connection, row: JobRow) -> None:
            for type, data in told:
                self._events.append(row.id, type, data, connection)
            if also is not None:
                also(connection, row)

        self.row = patiently(
            lambda: self._store.change(
                self.row.id, change, fence=self.fence, also=with_events if told or also else None, **columns
            )
        )
        self._events.tell()
        return self.row

    def tell(self, type: EventType, data: Mapping[str, Any]) -> None:
        """Add an event."""
        self.change(lambda job: job, (type, data))

    def report(self, progress: Progress, step: int, steps: int) -> None:
        """Store how far the run is, at most twice a second."""
        moment = time.monotonic()
        if moment - self._told_at < TOLD_EVERY:
            return
        self._told_at = moment
        self._told += 1
        data = {
            "stage": progress.stage,
            "done": progress.done,
            "total": progress.total,
            "step": step,
            "steps": steps,
            "fps": round(progress.rate, 2),
            "remaining_seconds": None if progress.remaining is None else round(progress.remaining, 1),
            "message": progress.message,
        }
        self.change(lambda job: job, ("progress", data), progress=data)
        if self._told % PRUNED_EVERY == 0:
            patiently(lambda: self._events.prune(self.row.id))


def patiently(act: Callable[[], T], patience: float = PATIENCE) -> T:
    """Do what needs the database, and wait for one that is away; raises DatabaseUnavailable after ``patience``."""
    deadline = time.monotonic() + patience
    pause = 0.1
    while True:
        try:
            return act()
        except DatabaseUnavailable:
            if time.monotonic() + pause > deadline:
                raise
        time.sleep(pause)
        pause = min(2 * pause, 2.0)
