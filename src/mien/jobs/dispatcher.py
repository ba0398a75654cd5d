"""Hands queued jobs over to the job engine, each once, whatever dies in between.

A job that is due stands in the table as not dispatched. It is handed over under its id and the number of the
dispatch, and then marked; whoever dies in between, or does it beside another one, hands over the same task again,
which is one task still.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import replace

from mien.errors import DatabaseUnavailable
from mien.jobs.database import DatabaseStore
from mien.jobs.engine import JobEngine, Task
from mien.jobs.rows import JobRow

BODY = "mien.job"
"""The name of the body that runs a job; its arguments are the job's id and the number of the dispatch."""
BATCH = 100
BREATH = 0.5
"""Seconds between two bursts."""


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
        """Hand over what was just stored; what cannot be handed over now is found later by somebody.

        Where a thread looks for such jobs it does that, so that nobody waits for it.
        """
        if self._thread is not None:
            self.wake()
            return
        with suppress(DatabaseUnavailable):
            self.dispatch(rows)

    def dispatch_waiting(self, most: int | None = None) -> int:
        """Hand over all that waits to be, or so many; returns how many. Raises DatabaseUnavailable."""
        count = 0
        while most is None or count < most:
            wanted = BATCH if most is None else min(BATCH, most - count)
            rows = self._store.undispatched(wanted)
            self.dispatch(rows)
            count += len(rows)
            if len(rows) < wanted:
                break
        return count

    def cancel(self, row: JobRow) -> None:
        """Take a job that was canceled out of the engine's queue. Raises DatabaseUnavailable."""
        if row.dispatched and row.has_ended:
            self._engine.cancel([task_id(row)])

    def start(
        self, every: float, on_error: Callable[[BaseException], None], burst: int | None = None
    ) -> None:
        """Look every so many seconds, in a thread of its own, and hand over at most ``burst`` jobs at a time.

        What is more than that waits a moment, in which others may take it: where many jobs wait, none is urgent.
        """
        self._done.clear()
        words = (every, on_error, burst)
        self._thread = threading.Thread(target=self._loop, args=words, name="mien-dispatcher", daemon=True)
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

    def _loop(self, every: float, on_error: Callable[[BaseException], None], burst: int | None) -> None:
        while not self._done.is_set():
            count = 0
            try:
                count = self.dispatch_waiting(burst)
            except Exception as error:  # the border of the thread: the next look may succeed
                on_error(error)
            if burst is not None and count >= burst:
                self._done.wait(BREATH)
            else:
                self._wake.wait(every)
            self._wake.clear()


def task_id(row: JobRow) -> str:
    """The engine's name for the run of a job that is due."""
    return f"{row.id}-{row.dispatch}"


def _task(row: JobRow) -> Task:
    return Task(task_id(row), BODY, row.queue or "", (row.id, row.dispatch), row.priority)
