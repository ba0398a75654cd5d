"""What the run of a job is: from its first unfinished step to its end, or to where another run goes on.

The table of jobs says how far a job is. A run begins with a fence that keeps all earlier ones from writing, so a
worker that was believed dead and wakes up does no harm.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Protocol, TypeAlias

from mien.errors import Canceled, DiskFull, JobBusy, JobError, JobMissing, TimedOut
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.failures import failure_of
from mien.jobs.job import Failure, Job, Status
from mien.jobs.rows import JobRow
from mien.service.attempt import Attempt, patiently
from mien.service.events import Events
from mien.service.lanes import PICTURES
from mien.service.retrying import lost, pause_before_retry
from mien.service.settings import ServiceSettings
from mien.service.watch import Watch

if TYPE_CHECKING:
    from sqlalchemy import Connection

Finally: TypeAlias = "Callable[[Connection, JobRow], None]"
"""Called in the transaction in which a job ends."""


ROOM: Final = 10.0
"""Seconds for which a full worker waits with a job, and then leaves it to others."""


class WrongQueue(Exception):
    """Raised by a run that finds its work to be that of another queue, such as an address that gave a video.

    ``queue`` None with an ``environment``: consumers fetch the job there.
    """

    def __init__(self, queue: str | None, environment: str | None = None) -> None:
        super().__init__(queue or environment)
        self.columns: dict[str, Any] = {"queue": queue}
        if environment is not None:
            self.columns["environment"] = environment


class KindRunner(Protocol):
    """Does the work of one kind of job."""

    def run(self, attempt: Attempt, folder: Path) -> None:
        """Do all that is not done, so that every step is completed. Raises what is wrong."""


@dataclass(frozen=True)
class Runs:
    """Runs jobs; used by many threads at once. ``folder`` is a place for files on the way.

    ``on_begin`` is called in the transaction in which a run begins, ``on_end`` in that in which a job ends,
    ``on_ended`` after it, ``on_error`` with what went wrong in a run, ``on_waiting`` with a job that is in the queue
    again. ``check_space`` raises DiskFull where there is no room for what a run would write.
    """

    store: DatabaseStore
    events: Events
    settings: ServiceSettings
    kinds: Mapping[str, KindRunner]
    folder: Path
    worker: str
    watch: Watch
    on_begin: Finally = lambda connection, row: None
    on_end: Finally = lambda connection, row: None
    on_ended: Callable[[JobRow], None] = lambda row: None
    on_error: Callable[[str, BaseException], None] = lambda job, error: None
    on_waiting: Callable[[JobRow], None] = lambda row: None
    clock: Callable[[], float] = field(default=time.time)
    check_space: Callable[[], None] = lambda: None
    patience: float = ROOM
    suspects: dict[str, threading.Lock] = field(default_factory=dict)
    """Of the jobs whose last worker died one at a time is begun again, or the one that kills workers would have those
    beside it counted as killers too."""

    def run(self, id: str, number: int) -> str:
        """Run a job that was handed over as dispatch ``number``; returns what became of it, in a word.

        Raises DatabaseUnavailable when the database stays away; the job is then found and run again later.
        """
        try:
            full = self._wait_for_room()
            row = patiently(lambda: self.store.row(id))
            if row.dispatch != number or row.status not in ("queued", "running"):
                return "stale"
            if full is not None:
                return self._put_off(row, full)
            if row.status == "queued":
                return self._run(row)
            with self._alone(row.queue) as alone:
                return self._run(row) if alone else self._give_back(row)
        except (JobMissing, JobError):
            return "stale"

    def _run(self, row: JobRow) -> str:
        attempt = self._begin(row)
        if attempt is None:
            return "stale"
        try:
            return self._guarded(attempt)
        except (JobBusy, JobMissing):
            return "overtaken"

    @contextmanager
    def _alone(self, queue: str | None) -> Iterator[bool]:
        """Hold the place of the one suspect; False when the worker ends before it is free."""
        lock = self.suspects.setdefault(queue or PICTURES, threading.Lock())
        while not lock.acquire(timeout=0.2):
            if self.watch.closing:
                yield False
                return
        try:
            yield True
        finally:
            lock.release()

    def _wait_for_room(self) -> DiskFull | None:
        """Why there is no room, after some patience; it keeps a full worker from asking for jobs all the time."""
        end = time.monotonic() + self.patience
        while True:
            try:
                self.check_space()
                return None
            except DiskFull as error:
                if self.watch.closing or time.monotonic() > end:
                    return error
                time.sleep(min(0.5, self.patience))

    def _put_off(self, row: JobRow, why: DiskFull) -> str:
        """Leave a job to another worker, or to a later moment; it counts as no try."""
        self.on_error(row.id, why)
        change = states.lose if row.status == "running" else lambda job: job
        later: dict[str, Any] = {"not_before": self.clock() + self.patience, "dispatches": row.dispatch}
        self.on_waiting(
            patiently(lambda: self.store.change(row.id, change, fence=row.fence, dispatched=False, **later))
        )
        return "queued"

    def _give_back(self, row: JobRow) -> str:
        self.on_waiting(self._direct(row, states.lose, "queued"))
        return "queued"

    def fail_waiting(self, row: JobRow, failure: Failure) -> JobRow:
        """End a job that no worker may begin. Raises JobError when one has."""

        def failed(job: Job) -> Job:
            if job.status == "queued":
                job = replace(job, status="running")  # only for a moment: nothing fails that has not begun
            return states.fail(job, failure)

        row = self._direct(row, failed, "failed", also=self._at_the_end, expires_at=self._expiry(row))
        self.on_ended(row)
        return row

    def _begin(self, row: JobRow) -> Attempt | None:
        if row.start_by is not None and row.fence == 0 and self.clock() > row.start_by:
            self.fail_waiting(row, overdue())
            return None
        if row.tries >= self.settings.max_attempts:
            self.fail_waiting(row, lost(row.tries))
            return None
        columns: dict[str, Any] = {
            "dispatched": True,
            "dispatches": row.dispatch,
            "not_before": None,
            "progress": None,
            # Whoever fetched the job over HTTP before has lost it.
            "lease_until": None,
            "lease_token": None,
        }
        columns["tries"] = row.tries + 1
        row = self._direct(
            row, lambda job: states.begin(job, self.worker), "running", self.on_begin, **columns
        )
        allowed = row.request.get("run_within") or self.settings.run_within
        return Attempt(self.store, self.events, row, time.monotonic() + float(allowed))

    def _direct(
        self, row: JobRow, change: states.Change, told: Status, also: Finally | None = None, **columns: Any
    ) -> JobRow:
        """A change by nobody's run, guarded by the fence that was seen."""

        def with_event(connection: Connection, changed: JobRow) -> None:
            data = {"status": told, "attempt": changed.fence}
            self.events.append(changed.id, "status", data, connection)
            if also is not None:
                also(connection, changed)

        changed = patiently(
            lambda: self.store.change(row.id, change, fence=row.fence, also=with_event, **columns)
        )
        self.events.tell()
        return changed

    def _guarded(self, attempt: Attempt) -> str:
        from mien.service.scratch import run_folder

        with self.watch.over(attempt):
            try:
                with run_folder(self.folder, attempt.row.id) as folder:
                    self.kinds[attempt.row.kind].run(attempt, folder)
                self._end(attempt, states.complete, "completed", None)
                return "completed"
            except (JobBusy, JobMissing):
                raise
            except WrongQueue as better:
                return self._again(attempt, None, 0.0, **better.columns)
            except Exception as error:  # the border of a run: the job fails, others go on
                return self._stopped(attempt, error)

    def _stopped(self, attempt: Attempt, error: Exception) -> str:
        """What becomes of a run that did not reach the end."""
        if isinstance(error, Canceled) and attempt.why is not None:
            if attempt.why == "overtaken":
                return "overtaken"
            if attempt.why == "handed_back":
                return self._again(attempt, None, 0.0)
            if attempt.why == "late":
                error = TimedOut("The job ran longer than it may; what is finished is kept for a retry.")
            else:
                error = Canceled("The job was canceled.")
        failure = failure_of(error, _current(attempt.row.job))
        if failure.kind == "canceled":
            self._end(attempt, lambda job: states.cancel(_stepped_back(job), failure), "canceled", failure)
            return "canceled"
        self.on_error(attempt.row.id, error)
        pause = pause_before_retry(failure, attempt.row.tries, self.settings.max_attempts)
        if pause is not None:
            return self._again(attempt, failure, pause)
        self._end(attempt, lambda job: states.fail(_step_failed(job, failure), failure), "failed", failure)
        return "failed"

    def _again(self, attempt: Attempt, failure: Failure | None, pause: float, **more: Any) -> str:
        """Put the job back into the queue; a run that only had to make room does not count as a try."""
        data: dict[str, Any] = {"status": "queued", "attempt": attempt.fence}
        columns: dict[str, Any] = {"tries": attempt.row.tries - 1, **more}
        if failure is not None:
            data |= {"retry_in": round(pause, 1), "failure": failure.message}
            columns = {"not_before": self.clock() + pause}
        row = attempt.change(lambda job: states.hand_back(job, failure), ("status", data), **columns)
        self.on_waiting(row)
        return "queued"

    def _end(self, attempt: Attempt, change: states.Change, status: Status, failure: Failure | None) -> None:
        data = {"status": status, "attempt": attempt.fence}
        expires_at = self._expiry(attempt.row)
        row = attempt.change(change, ("status", data), also=self._at_the_end, expires_at=expires_at)
        self.on_ended(row)

    def _at_the_end(self, connection: Connection, row: JobRow) -> None:
        """What belongs into the transaction in which a job ends."""
        if row.results:
            self.events.append(row.id, "result", {"results": list(row.results)}, connection)
        self.on_end(connection, row)

    def _expiry(self, row: JobRow) -> float:
        return self.clock() + float(row.request.get("retain") or self.settings.retain_jobs)


def overdue() -> Failure:
    """The failure of a job that waited longer than it may."""
    return failure_of(TimedOut("No worker could begin the job in the time that it was given to wait."))


def _current(job: Job) -> int | None:
    return next((index for index, step in enumerate(job.steps) if step.status == "started"), None)


def _step_failed(job: Job, failure: Failure) -> Job:
    return job if failure.step is None else states.fail_step(job, failure.step, failure)


def _stepped_back(job: Job) -> Job:
    index = _current(job)
    return job if index is None else states.interrupt_step(job, index)
