"""Takes jobs in, and lets their owners change, cancel, retry and delete them.

A job is stored in one transaction, with the hold on its assets and what it uses of the limits: it is taken as a whole
or not at all. Whatever runs jobs is told afterwards, and finds them by itself when it was not.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final

from mien.errors import AssetInUse, AssetMissing, DatabaseUnavailable, JobError, JobExists
from mien.jobs import states
from mien.jobs.codec import to_line
from mien.jobs.database import Also, DatabaseStore
from mien.jobs.job import Job, JobStep, now
from mien.jobs.rows import JobRow, NewJob
from mien.service.asset_rows import Asset, references
from mien.service.assets import Assets
from mien.service.callers import Caller
from mien.service.checking import Checker, Look
from mien.service.events import Events
from mien.service.limits import Limits
from mien.service.outputs import Known
from mien.service.recent import Recent
from mien.service.requests import JobFields, JobPatch, JobRequest
from mien.service.settings import ServiceSettings
from mien.service.steps import LOCAL
from mien.service.together import Together
from mien.service.tracing import PARENT

if TYPE_CHECKING:
    from sqlalchemy import Connection

DOWNLOAD: Final = "download"
"""Kind of jobs that bring models."""
BENCHMARK: Final = "benchmark"
"""Kind of jobs that measure."""
SEEN_SECONDS: Final = 10.0
"""For so long it is believed that an asset is there, until the job that needs it is stored."""

Nudge = Callable[[Sequence[JobRow]], None]
"""Tells whatever runs jobs that these are due, or were canceled; it finds them by itself when that fails."""


@dataclass(frozen=True)
class Submissions:
    """The ways into the queue and out of it. Shared by any number of threads.

    ``on_change`` is run in the transaction of each change of a state, ``check_webhook`` refuses addresses that must
    not be called.
    """

    store: DatabaseStore
    assets: Assets
    limits: Limits
    events: Events
    checker: Checker
    settings: ServiceSettings
    on_change: Also
    nudge: Nudge
    check_webhook: Callable[[str], None]
    carried: Callable[[], str | None] = lambda: None
    """The ``traceparent`` of the request under way."""

    def submit(self, request: JobRequest, caller: Caller, seed: str) -> JobRow:
        """Store a job, in the queue unless it is a draft. Given twice with one seed it is still one job.

        Raises what the checker finds wrong, AssetMissing, QueueFull, RateLimited, QuotaExceeded.
        """
        try:
            return self._submit(request, caller, seed, self._seen(caller))
        except AssetMissing:  # one that was seen a moment ago is gone: say which field names it
            return self._submit(request, caller, seed, self.look(caller))

    def _submit(self, request: JobRequest, caller: Caller, seed: str, look: Look) -> JobRow:
        steps = self.checker.job(request, look)
        new = self.new_job(request, steps, caller, f"job_{seed}", draft=request.draft)
        if len(request.steps) == 1 and request.steps[0].workflow is not None:
            new = replace(new, workflow=request.steps[0].workflow.name)
        try:
            return self._together.do((new, caller))
        except JobExists:
            return self.store.row(new.job.id, caller.owner)

    @cached_property
    def _together(self) -> Together[tuple[NewJob, Caller], JobRow]:
        return Together(self._insert_all, common=(DatabaseUnavailable,))

    def _insert_all(self, wanted: Sequence[tuple[NewJob, Caller]]) -> list[JobRow]:
        """Store jobs that came at the same time: those of one caller in one transaction."""
        groups: dict[tuple[str, str | None], list[int]] = {}
        for number, (_, caller) in enumerate(wanted):
            groups.setdefault((caller.owner, caller.key_id), []).append(number)
        found: dict[str, JobRow] = {}
        for numbers in groups.values():
            rows = self.insert([wanted[number][0] for number in numbers], wanted[numbers[0]][1])
            found |= {row.id: row for row in rows}
        return [found[new.job.id] for new, _ in wanted]

    def look(self, caller: Caller) -> Look:
        """Looks up assets of the caller, each once."""
        seen: dict[str, Known] = {}

        def look(id: str) -> Known:
            if id not in seen:
                seen[id] = known_of(self.assets.get(id, caller.owner))
            return seen[id]

        return look

    def _seen(self, caller: Caller) -> Look:
        """Like ``look``, but what was seen a moment ago is not looked up again: to store a job looks once more."""
        look = self.look(caller)

        def seen(id: str) -> Known:
            found = self._recent.get((caller.owner, id))
            if found is None:
                found = look(id)
                self._recent.put((caller.owner, id), found)
            return found

        return seen

    @cached_property
    def _recent(self) -> Recent[tuple[str, str], Known]:
        return Recent(SEEN_SECONDS)

    def new_job(
        self,
        fields: JobFields,
        steps: Sequence[JobStep],
        caller: Caller,
        id: str,
        *,
        draft: bool = False,
        batch: str | None = None,
    ) -> NewJob:
        """A job of checked steps. Raises what ``check_webhook`` raises."""
        if fields.webhook is not None:
            self.check_webhook(fields.webhook.url)
        job = Job(id, now(), steps=tuple(steps))
        said = fields.model_dump(include=_REQUEST, exclude_none=True)
        traceparent = self.carried()
        if traceparent is not None:
            said[PARENT] = traceparent
        return NewJob(
            job if draft else states.submit(job),
            owner=caller.owner,
            priority=fields.priority,
            batch=batch,
            environment=_environment(steps),
            request=said,
            start_by=None if draft else self._start_by(said),
        )

    def insert(
        self,
        new: Sequence[NewJob],
        caller: Caller,
        also: Callable[[Connection], None] = lambda connection: None,
    ) -> tuple[JobRow, ...]:
        """Store jobs with everything that belongs to it, and tell whatever runs them. Raises JobExists."""
        queued = [item for item in new if item.job.status == "queued"]
        check = self.limits.for_jobs(caller, len(queued)) if queued else (lambda connection: None)

        def within(connection: Connection) -> None:
            self._hold(connection, (item.job for item in new), caller.owner)
            check(connection)
            also(connection)
            told = {item.job.id: _said(item.job) for item in new}
            self.events.append_all("status", told, connection)

        rows = self.store.insert(new, within)
        self.nudge(rows)
        return rows

    def submit_draft(self, id: str, caller: Caller) -> JobRow:
        """Put a draft into the queue. Raises JobMissing, JobError, ConsentMissing, Forbidden, what limits raise."""
        row = self.store.row(id, caller.owner)
        self.checker.check_rules(row.job.steps)
        check = self.limits.for_jobs(caller, 1)

        def within(connection: Connection, row: JobRow) -> None:
            self._hold(connection, [row.job], caller.owner)
            check(connection)
            self.changed(connection, row)

        start_by = self._start_by(row.request)
        row = self.store.change(id, states.submit, owner=caller.owner, also=within, start_by=start_by)
        self.nudge([row])
        return row

    def retry(self, id: str, caller: Caller) -> JobRow:
        """Put a failed or canceled job into the queue again; what is finished of it is not done again.

        Raises like ``submit_draft``: one that was canceled as a draft was never checked as a whole.
        """
        before = self.store.row(id, caller.owner)
        if before.kind not in (DOWNLOAD, BENCHMARK):  # these show nobody who would have to be asked
            self.checker.check_rules(before.job.steps)
        check = self.limits.for_jobs(caller, 1)
        request = before.request

        def within(connection: Connection, row: JobRow) -> None:
            self._hold(connection, [row.job], caller.owner)
            check(connection)
            self.changed(connection, row)

        row = self.store.change(
            id,
            states.retry,
            owner=caller.owner,
            also=within,
            progress=None,
            expires_at=None,
            start_by=self._start_by(request),
        )
        self.nudge([row])
        return row

    def cancel(self, id: str, caller: Caller) -> JobRow:
        """Cancel a job that waits, ask one that runs to stop. Raises JobMissing, JobError for one that has ended."""

        def within(connection: Connection, row: JobRow) -> None:
            if row.has_ended:
                seconds = row.request.get("retain") or self.settings.retain_jobs
                expire(connection, id, time.time() + float(seconds))
            self.changed(connection, row)

        row = self.store.request_cancel(id, caller.owner, within)
        self.nudge([row])
        return row

    def patch(self, id: str, caller: Caller, patch: JobPatch) -> JobRow:
        """Change what is not part of the work. Raises JobError when it is too late for another priority."""
        columns: dict[str, Any] = {}
        row = self.store.row(id, caller.owner)
        if patch.metadata is not None:
            columns["request"] = {**row.request, "metadata": patch.metadata}
        if patch.priority is not None:
            columns["priority"] = patch.priority

        def waiting(job: Job) -> Job:
            if patch.priority is not None and job.status not in ("drafted", "queued"):
                raise JobError(f"The job {id} is {job.status}; only one that waits can get another priority.")
            return job

        return self.store.change(id, waiting, owner=caller.owner, **columns)

    def remove(self, row: JobRow) -> None:
        """Forget a job that is not active, and what it made: results that no other job made too."""
        self.store.remove(row.id)
        for id in {str(record.get("asset")) for record in row.results}:
            with suppress(AssetMissing, AssetInUse):
                asset = self.assets.get(id, row.owner)
                if asset.origin == "result" and not self._is_result(id, row.owner):
                    self.assets.delete(id, row.owner)

    def _is_result(self, asset: str, owner: str) -> bool:
        """Whether a job of the owner has this result; the same work has the same result."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        said = sa.cast(jobs.c.results, sa.Text).contains(asset)
        query = sa.select(jobs.c.id).where(jobs.c.owner == owner, said).limit(1)
        with self.store.database.read() as connection:
            return connection.execute(query).first() is not None

    def changed(self, connection: Connection, row: JobRow) -> None:
        """What belongs into the transaction of a change that a client makes of a job's state."""
        self._tell(connection, row.job)
        self.on_change(connection, row)

    def _tell(self, connection: Connection, job: Job) -> None:
        self.events.append(job.id, "status", _said(job), connection)

    def _hold(self, connection: Connection, jobs: Iterable[Job], owner: str) -> None:
        wanted = {id for job in jobs for id in references(to_line(job))}
        self.assets.hold(connection, wanted, owner)

    def _start_by(self, request: Mapping[str, Any]) -> float | None:
        seconds = request.get("start_within") or self.settings.start_within
        return None if seconds is None else time.time() + seconds


def _said(job: Job) -> dict[str, Any]:
    """What an event tells of a job's state."""
    return {"status": job.status, "attempt": job.fence}


def _environment(steps: Sequence[JobStep]) -> str:
    """Where the job's steps are done that are not the face engine's."""
    found = (str(step.args["environment"]) for step in steps if step.args.get("environment"))
    return next(found, LOCAL)


_REQUEST: Final = {"consent_ref", "metadata", "webhook", "start_within", "run_within", "retain"}


def expire(connection: Connection, id: str, moment: float) -> None:
    """Let a job go at that moment (seconds since 1970), within a transaction."""
    import sqlalchemy as sa

    from mien.db.tables import jobs

    connection.execute(sa.update(jobs).where(jobs.c.id == id).values(expires_at=moment))


def known_of(asset: Asset) -> Known:
    """What is known of an asset, for the name of a result."""
    return Known(asset.name, asset.kind, asset.media.ending)
