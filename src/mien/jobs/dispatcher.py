"""Hands queued jobs over to the job engine, each once, whatever dies in between.

A job that is due stands in the table as not dispatched. It is handed over under its id and the number of the
dispatch, and then marked; whoever dies in between, or does it beside another one, hands over the same task again,
which is one task still.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from dataclasses import replace

from mien.errors import DatabaseUnavailable
from mien.jobs.database import DatabaseStore
from mien.jobs.engine import JobEngine, Task
from mien.jobs.rows import JobRow

BODY = "mien.job"
"""The name of the body that runs a job; its arguments are the job's id and the number of the dispatch."""
BATCH = 100


class Dispatcher:
    """``queue_of`` decides on the queue of a job that has none yet."""

    def __init__(self, store: DatabaseStore, engine: JobEngine, queue_of: Callable[[JobRow], str]) -> None:
        self._store = store
        self._engine = engine
        self._queue_of = queue_of
        self._wake = threading.Event()
        self._done = threading.Event()
        self._thread: threading.Thread | None = None

    def dispatch(self, rows: Sequence[JobRow]) -> None:
        """Hand over jobs that are queued and not dispatched; others are left out. Raises DatabaseUnavailable."""
        due = [
            row if row.queue else replace(row, queue=self._queue_of(row))
            for row in rows
            if row.status == "queued" and not row.dispatched
        ]
        self._engine.put([_task(row) for row in due])
        self._store.mark_dispatched(due)

    def dispatch_soon(self, rows: Sequence[JobRow]) -> None:
        """Hand over what was just stored; what cannot be handed over now is found later by somebody."""
        try:
            self.dispatch(rows)
        except DatabaseUnavailable:
            self.wake()

    def dispatch_waiting(self) -> int:
        """Hand over all that waits to be; returns how many. Raises DatabaseUnavailable."""
        count = 0
        while rows := self._store.undispatched(BATCH):
            self.dispatch(rows)
            count += len(rows)
            if len(rows) < BATCH:
                break
        return count

    def cancel(self, row: JobRow) -> None:
        """Take a job that was canceled out of the engine's queue. Raises DatabaseUnavailable."""
        if row.dispatched and row.has_ended:
            self._engine.cancel([task_id(row)])

    def start(self, every: float, on_error: Callable[[BaseException], None]) -> None:
        """Look every so many seconds, in a thread of its own."""
        self._done.clear()
        self._thread = threading.Thread(
            target=self._loop, args=(every, on_error), name="mien-dispatcher", daemon=True
        )
        self._thread.start()

    def wake(self) -> None:
        """Look now."""
        self._wake.set()

    def stop(self) -> None:
        """Look no more."""
        self._done.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def _loop(self, every: float, on_error: Callable[[BaseException], None]) -> None:
        while not self._done.is_set():
            try:
                self.dispatch_waiting()
            except Exception as error:  # the border of the thread: the next look may succeed
                on_error(error)
            self._wake.wait(every)
            self._wake.clear()


def task_id(row: JobRow) -> str:
    """The engine's name for the run of a job that is due."""
    return f"{row.id}-{row.dispatch}"


def _task(row: JobRow) -> Task:
    return Task(task_id(row), BODY, row.queue or "", (row.id, row.dispatch), row.priority)
