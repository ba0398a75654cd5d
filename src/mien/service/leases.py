"""Tasks for workers that come and ask over HTTP: each is lent for a while, and lent again when nothing is heard.

A lease is a run like any other: it begins an attempt with a fence, so whoever comes back late changes nothing. A
worker of the service and one that asks may want the same task; the first one gets it. What is lent is the step that is
due: a task of several stages goes back into the queue after each.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from mien.errors import Canceled, JobBusy, JobError, MienError, OptionError
from mien.jobs import states
from mien.jobs.database import Also, DatabaseStore
from mien.jobs.failures import failure_of
from mien.jobs.job import Finished, Job
from mien.jobs.rows import JobRow
from mien.service.events import Events, EventType
from mien.service.lease_queue import LeaseQueue
from mien.service.retrying import lost
from mien.service.settings import ServiceSettings
from mien.service.stages import due_step, is_last, numbered, place_of

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

SHORTEST, LONGEST = 5.0, 3600.0
"""Seconds of a lease."""
REPORTED: Final = "reported"
"""Where the job keeps, by step, the hash of the token with which the step was reported to be done."""


@dataclass(frozen=True, slots=True)
class Lent:
    """A task that somebody has for now."""

    row: JobRow
    token: str
    """Proves who has it; known to nobody else."""
    until: float
    """Seconds since 1970."""


@dataclass(frozen=True)
class Leases:
    """Lends tasks. Safe to use from many threads and processes; raises DatabaseUnavailable.

    ``on_end`` is called in the transaction in which a task ends, ``on_ended`` after it. ``lost`` tells which steps of
    a job are to be done again, since their results are gone.
    """

    store: DatabaseStore
    events: Events
    settings: ServiceSettings
    on_end: Also = lambda connection, row: None
    on_ended: Callable[[JobRow], None] = lambda row: None
    lost: Callable[[JobRow], Sequence[int]] = lambda row: ()

    @cached_property
    def _queue(self) -> LeaseQueue:
        return LeaseQueue(self.store)

    def take(
        self, environments: Sequence[str], worker: str, owner: str | None, seconds: float | None = None
    ) -> Lent | None:
        """Lend the task that is due next in one of these environments; None when there is none.

        ``owner`` None: whoever the task belongs to. Raises OptionError for a lease that is too short or too long.
        """
        seconds = self._checked(seconds)
        while (row := self._queue.due(environments, owner)) is not None:
            with suppress(JobBusy):  # somebody else was faster
                if not self._settled(row) and not self._taken_back(row):
                    return self._lend(row, worker, seconds)
        return None

    def _taken_back(self, row: JobRow) -> bool:
        """Whether earlier stages have to be done again first, since their results have expired."""
        gone = set(self.lost(row))
        if not gone:
            return False

        def fresh(job: Job) -> Job:
            for index in gone:
                job = job.with_step(index, job.steps[index].fresh("queued"))
            return replace(job, status="queued")

        kept = [record for record in row.results if record.get("step") not in gone]
        self._change(
            row,
            fresh,
            lambda connection, row: None,
            results=kept,
            environment=place_of(row.job.steps[min(gone)]),
            lease_until=None,
            lease_token=None,
            dispatched=False,
            queue=None,
        )
        return True

    def sweep(self) -> int:
        """Put tasks back into the queue of whose worker nothing was heard for too long; returns how many."""
        count = 0
        while (row := self._queue.silent()) is not None:
            with suppress(JobBusy, JobError):  # somebody else was faster, or the worker has spoken after all
                if not self._settled(row):
                    self._hand_back(row, states.lose)
                count += 1
        return count

    def _settled(self, row: JobRow) -> bool:
        """Whether a task is over instead of being lent again: canceled meanwhile, or lost too often."""
        if row.cancel_requested:
            self._cancel(row)
            return True
        if row.tries >= self.settings.max_attempts:
            failure = lost(row.tries)
            self._end(row, lambda job: states.fail(_running(job), failure), "failed")
            return True
        return False

    def extend(
        self, id: str, token: str, seconds: float | None = None, progress: Mapping[str, Any] | None = None
    ) -> Lent:
        """A sign of life, with how far the task is. Raises JobBusy when the lease is lost, Canceled when the task is
        not wanted any more.
        """
        seconds = self._checked(seconds)
        row = self.held(id, token)
        if row.cancel_requested:
            raise Canceled("The task was canceled; stop working on it and report that it failed.")
        told: dict[str, Any] = {} if progress is None else {"progress": dict(progress)}
        until = self._until(seconds)

        def also(connection: Connection, row: JobRow) -> None:
            if progress is not None:
                self.events.append(id, "progress", progress, connection)

        row = self._change(row, lambda job: job, also, lease_until=until, **told)
        return Lent(row, token, row.lease_until or 0.0)

    def complete(
        self,
        id: str,
        token: str,
        results: Sequence[Mapping[str, Any]],
        external: Mapping[str, Any],
        notices: Sequence[str] = (),
    ) -> JobRow:
        """Say that what was lent is done: the task ends well, or waits for whoever does its next stage.

        ``results`` are the records of what was made, the first of which is the result. The same call again, after a
        lost answer, changes nothing. Raises JobBusy.
        """
        known = self.reported(id, token)
        if known is not None:
            return known
        row = self.held(id, token)
        index = due_step(row.job)
        made = f"asset:{results[0]['asset']}" if results and "asset" in results[0] else ""
        finished = Finished(made, "", notices=tuple(notices))
        before = [record for record in row.results if record.get("step") != index]
        done = {**(row.external.get(REPORTED) or {}), str(index): _hash(token)}
        kept: dict[str, Any] = {
            "results": numbered([*before, *results]),
            "external": {**row.external, **external, REPORTED: done},
        }
        if not is_last(row.job, index):
            return self._go_on(row, index, finished, kept)
        return self._end(
            row, lambda job: states.complete(states.finish_step(job, index, finished)), "completed", **kept
        )

    def reported(self, id: str, token: str) -> JobRow | None:
        """The task, if what was lent with that token was reported to be done before; None otherwise."""
        row = self.store.row(id)
        known = (row.external.get(REPORTED) or {}).values()
        return row if any(hmac.compare_digest(str(one), _hash(token)) for one in known) else None

    def _go_on(self, row: JobRow, index: int, finished: Finished, kept: Mapping[str, Any]) -> JobRow:
        """Put a task back into the queue, one stage further."""
        following = states.finish_step(row.job, index, finished)
        row = self._hand_back(
            row,
            lambda job: states.hand_back(states.finish_step(job, index, finished)),
            also=("step", {"index": index, "status": "completed"}),
            environment=place_of(following.steps[due_step(following)]),
            tries=0,
            lease_token=None,
            queue=None,
            **kept,
        )
        return self._cancel(row) if row.cancel_requested else row

    def fail(self, id: str, token: str, error: MienError, *, again: bool) -> JobRow:
        """End a task badly, or put it back into the queue for another try. Raises JobBusy."""
        known = self._seen(id, token)
        if known.has_ended:
            return known
        row = self.held(id, token)
        index = due_step(row.job)
        failure = failure_of(error, index)
        if row.cancel_requested:
            return self._cancel(row)
        if again and row.tries < self.settings.max_attempts:
            return self._hand_back(
                row, lambda job: states.hand_back(job, failure), told={"failure": failure.message}
            )
        return self._end(
            row, lambda job: states.fail(states.fail_step(job, index, failure), failure), "failed"
        )

    def give_back(self, id: str, token: str) -> JobRow:
        """Put a task back that could not be begun, at no cost to it. Raises JobBusy."""
        row = self.held(id, token)
        if row.cancel_requested:
            return self._cancel(row)
        return self._hand_back(row, tries=max(row.tries - 1, 0))

    def _hand_back(
        self,
        row: JobRow,
        change: states.Change = states.hand_back,
        *,
        told: Mapping[str, Any] | None = None,
        also: tuple[EventType, Mapping[str, Any]] | None = None,
        **columns: Any,
    ) -> JobRow:
        from mien.db.tables import jobs

        data = {"status": "queued", "attempt": row.fence, **(told or {})}
        # Whoever cancels in this moment must not be forgotten: the next look ends the task.
        kept: dict[str, Any] = {"lease_until": None, "cancel_requested": jobs.c.cancel_requested}
        return self._tell(row, change, data, before=also, **kept, **columns)

    def _cancel(self, row: JobRow) -> JobRow:
        stopped = failure_of(Canceled("The job was canceled."))
        return self._end(row, lambda job: states.cancel(_stepped_back(job), stopped), "canceled")

    def _lend(self, row: JobRow, worker: str, seconds: float) -> Lent:
        token = secrets.token_urlsafe(32)
        columns: dict[str, Any] = {
            # The job engine may know of the task; what it would run is out of date from now on.
            "dispatched": True,
            "dispatches": row.dispatches + 1,
            "tries": row.tries + 1,
            "not_before": None,
            "progress": None,
            "lease_token": _hash(token),
            "lease_until": self._until(seconds),
        }

        def begun(job: Job) -> Job:
            if job.status not in ("queued", "running"):
                raise JobBusy(f"The task {job.id} was taken by somebody else.")
            return states.begin(job, worker)

        row = self._tell(row, begun, {"status": "running", "attempt": row.fence + 1}, **columns)
        return Lent(row, token, row.lease_until or 0.0)

    def _seen(self, id: str, token: str) -> JobRow:
        """The task, if that token was the last one for it."""
        row = self.store.row(id)
        if row.lease_token is None or not hmac.compare_digest(row.lease_token, _hash(token)):
            raise JobBusy(f"The lease of the task {id} is not yours any more; leave the task alone.")
        return row

    def held(self, id: str, token: str) -> JobRow:
        """The task that was lent with that token. Raises JobBusy when it is not any more."""
        row = self._seen(id, token)
        if row.status != "running" or row.lease_until is None:
            raise JobBusy(f"The task {id} is {row.status}; leave it alone.")
        return row

    def _end(self, row: JobRow, change: states.Change, told: str, **columns: Any) -> JobRow:
        return self._tell(
            row, change, {"status": told, "attempt": row.fence}, ends=True, lease_until=None, **columns
        )

    def _tell(
        self,
        row: JobRow,
        change: states.Change,
        data: Mapping[str, Any],
        *,
        ends: bool = False,
        before: tuple[EventType, Mapping[str, Any]] | None = None,
        **columns: Any,
    ) -> JobRow:
        def also(connection: Connection, changed: JobRow) -> None:
            if before is not None:
                self._append(connection, changed.id, *before)
            self._append(connection, changed.id, "status", data)
            if ends and changed.results:
                self._append(connection, changed.id, "result", {"results": list(changed.results)})
            if ends:
                self.on_end(connection, changed)

        if ends:
            columns["expires_at"] = self._until(float(row.request.get("retain") or self.settings.retain_jobs))
        changed = self._change(row, change, also, **columns)
        self.events.tell()
        if ends:
            self.on_ended(changed)
        return changed

    def _append(self, connection: Connection, id: str, type: EventType, data: Mapping[str, Any]) -> None:
        self.events.append(id, type, data, connection)

    def _change(self, row: JobRow, change: states.Change, also: Also, **columns: Any) -> JobRow:
        return self.store.change(row.id, change, fence=row.fence, also=also, **columns)

    def _until(self, seconds: float) -> ColumnElement[float]:
        return self.store.database.clock + seconds

    def _checked(self, seconds: float | None) -> float:
        if seconds is None:
            return self.settings.lease_seconds
        if not SHORTEST <= seconds <= LONGEST:
            raise OptionError(f"A lease lasts {SHORTEST:g} to {LONGEST:g} seconds, not {seconds:g}.")
        return seconds


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode()).hexdigest()


def _running(job: Job) -> Job:
    return replace(job, status="running")


def _stepped_back(job: Job) -> Job:
    return states.interrupt_step(job, due_step(job))
