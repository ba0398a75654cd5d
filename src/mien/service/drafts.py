"""Drafts: the steps of a job that is not in the queue yet are added, replaced, removed and remixed.

Targets that are results of other steps follow those steps when numbers change.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from mien.errors import JobBusy, JobError, NotFound
from mien.jobs.job import Job, JobStep
from mien.jobs.rows import JobRow
from mien.service.asset_rows import references
from mien.service.callers import Caller
from mien.service.requests import StepFields, StepResult
from mien.service.submitting import Submissions

if TYPE_CHECKING:
    from sqlalchemy import Connection

Steps = tuple[JobStep, ...]


@dataclass(frozen=True)
class Drafts:
    """Changes the steps of drafts. Every method raises JobMissing, JobError for a job that is no draft any more, and
    JobBusy when somebody else changed it at the same moment.
    """

    submissions: Submissions

    def add(self, id: str, caller: Caller, wish: StepFields, index: int | None = None) -> JobRow:
        """Add a step at the end, or before step ``index``. Raises what the checker finds wrong with it."""

        def added(steps: Steps) -> Steps:
            self._check_room(steps)
            at = len(steps) if index is None else _place(steps, index, len(steps))
            step = self._checked(wish, steps[:at], caller)
            moved = {number: number + 1 for number in range(at, len(steps))}
            return (*steps[:at], step, *_followed(steps[at:], moved))

        return self._change(id, caller, added)

    def replace(self, id: str, caller: Caller, index: int, wish: StepFields) -> JobRow:
        """Put another step in the place of step ``index``."""

        def replaced(steps: Steps) -> Steps:
            at = _place(steps, index, len(steps) - 1)
            return (*steps[:at], self._checked(wish, steps[:at], caller), *steps[at + 1 :])

        return self._change(id, caller, replaced)

    def remove(self, id: str, caller: Caller, index: int) -> JobRow:
        """Take out step ``index``. Raises JobError when another step works on its result."""

        def removed(steps: Steps) -> Steps:
            at = _place(steps, index, len(steps) - 1)
            for number, step in enumerate(steps):
                if step.target_path == f"step:{at}":
                    raise JobError(
                        f"Step {number} works on the result of step {at}; remove step {number} first."
                    )
            moved = {number: number - 1 for number in range(at + 1, len(steps))}
            return (*steps[:at], *_followed(steps[at + 1 :], moved))

        return self._change(id, caller, removed)

    def remix(self, id: str, caller: Caller, index: int, wish: StepFields) -> JobRow:
        """Add a step at the end that works on the result of step ``index``."""

        def remixed(steps: Steps) -> Steps:
            self._check_room(steps)
            at = _place(steps, index, len(steps) - 1)
            changed = wish.model_copy(update={"target": StepResult(step=at)})
            return (*steps, self._checked(changed, steps, caller))

        return self._change(id, caller, remixed)

    def _checked(self, wish: StepFields, before: Steps, caller: Caller) -> JobStep:
        owner = self.submissions
        return owner.checker.step(wish, before, None, owner.look(caller))

    def _check_room(self, steps: Steps) -> None:
        most = self.submissions.settings.max_steps
        if len(steps) >= most:
            raise JobError(f"The job has {len(steps)} steps, and a job may have {most} at most.")

    def _change(self, id: str, caller: Caller, change: Callable[[Steps], Steps]) -> JobRow:
        """Work the change out first, since that looks at files; then make it if nobody came between."""
        submissions = self.submissions
        before = _draft(submissions.store.row(id, caller.owner).job)
        consent = submissions.store.row(id, caller.owner).request.get("consent_ref")
        steps = tuple(_with_consent(step, consent) for step in change(before.steps))

        def changed(job: Job) -> Job:
            if _draft(job).steps != before.steps:
                raise JobBusy(
                    f"Somebody else changed the job {id} at the same moment; look at it and try again."
                )
            return replace(job, steps=steps)

        def within(connection: Connection, row: JobRow) -> None:
            wanted = {found for step in steps for found in references(str(dict(step.args)))}
            submissions.assets.hold(connection, wanted, caller.owner)
            submissions.changed(connection, row)

        return submissions.store.change(id, changed, owner=caller.owner, also=within)


def _draft(job: Job) -> Job:
    if job.status != "drafted":
        raise JobError(f"The job {job.id} is {job.status}; only the steps of a draft can be changed.")
    return job


def _place(steps: Sequence[JobStep], index: int, last: int) -> int:
    if not 0 <= index <= last:
        found = f"steps 0 to {len(steps) - 1}" if steps else "no step"
        raise NotFound(f"The job has {found}, so there is no step {index}.")
    return index


def _followed(steps: Sequence[JobStep], moved: Mapping[int, int]) -> Steps:
    """The steps with targets that mean the same results under their new numbers."""
    names = {f"step:{old}": f"step:{new}" for old, new in moved.items()}
    return tuple(
        replace(step, args={**step.args, "target_path": names[step.target_path]})
        if step.target_path in names
        else step
        for step in steps
    )


def _with_consent(step: JobStep, consent: str | None) -> JobStep:
    if consent is None or step.args.get("consent_ref"):
        return step
    return replace(step, args={**step.args, "consent_ref": consent})
