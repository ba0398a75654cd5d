"""The state machine: drafted → queued → running → completed, failed or canceled, and back to queued by a retry.

Each function takes a job and returns the job after the event, or refuses by JobError. ``running`` is entered by
``begin`` and left by ``complete``, ``fail`` or ``cancel``; a job whose process died is running for nobody and is
begun again, at its first unfinished step.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from mien.errors import JobError
from mien.jobs.job import Attempt, AttemptOutcome, Failure, Finished, Job, JobStep, Status, now

Change = Callable[[Job], Job]

RETRYABLE: tuple[Status, ...] = ("failed", "canceled")


def submit(job: Job) -> Job:
    """drafted → queued; the job needs a step."""
    _expect(job, "submitted", "drafted")
    if not job.steps:
        raise JobError(f"The job {job.id} has no step, so there is nothing to submit.")
    steps = tuple(replace(step, status="queued") for step in job.steps)
    return replace(job, status="queued", steps=steps)


def retry(job: Job) -> Job:
    """failed or canceled → queued. Completed steps keep their results and are not done again.

    A queued job whose run died is as it should be already.
    """
    if was_interrupted(job):
        return job
    _expect(job, "retried", *RETRYABLE)
    if not job.steps:
        raise JobError(f"The job {job.id} has no step, so there is nothing to retry.")
    steps = tuple(step if is_done(step) else step.fresh("queued") for step in job.steps)
    return replace(job, status="queued", steps=steps, failure=None)


def begin(job: Job, worker: str) -> Job:
    """queued → running: a new attempt. One that is still open belonged to a process that died."""
    may_run(job)
    past = _ended(job.attempts, "lost")
    attempt = Attempt(job.fence + 1, worker, now())
    return replace(job, status="running", attempts=(*past, attempt), failure=None)


def may_run(job: Job) -> None:
    """Refuse a job that is not in the queue."""
    _expect(job, "run", "queued", "running")


def was_interrupted(job: Job) -> bool:
    """Whether the process that ran the job died (FaceFusion leaves a started step)."""
    unended = bool(job.attempts) and job.attempts[-1].ended is None
    return job.status == "queued" and (unended or any(step.status == "started" for step in job.steps))


def start_step(job: Job, index: int, inputs: str) -> Job:
    """A step begins; ``inputs`` identifies what it works on."""
    _expect(job, "worked on", "running")
    return job.with_step(index, replace(job.steps[index].fresh("started"), inputs=inputs))


def finish_step(job: Job, index: int, finished: Finished) -> Job:
    """A step has its result."""
    _expect(job, "worked on", "running")
    step = replace(job.steps[index], status="completed", finished=finished, failure=None)
    return job.with_step(index, step)


def fail_step(job: Job, index: int, failure: Failure) -> Job:
    """A step failed."""
    _expect(job, "worked on", "running")
    return job.with_step(index, replace(job.steps[index].fresh("failed"), failure=failure))


def interrupt_step(job: Job, index: int) -> Job:
    """A step was stopped; the next run begins it again."""
    return job.with_step(index, job.steps[index].fresh("queued"))


def deliver_steps(job: Job, indices: tuple[int, ...]) -> Job:
    """The results of these steps are at their output path."""
    steps = list(job.steps)
    for index in indices:
        steps[index] = replace(steps[index], delivered=True)
    return replace(job, steps=tuple(steps))


def deliver(job: Job) -> Job:
    """All results are where they belong."""
    return replace(job, delivered=True)


def complete(job: Job) -> Job:
    """running → completed; all steps must be."""
    _expect(job, "completed", "running")
    if any(step.status != "completed" for step in job.steps):
        raise JobError(f"The job {job.id} has unfinished steps and cannot be completed.")
    return _end(job, "completed", None)


def fail(job: Job, failure: Failure) -> Job:
    """running → failed."""
    _expect(job, "ended", "running")
    return _end(job, "failed", failure)


def cancel(job: Job, failure: Failure) -> Job:
    """queued or running → canceled; a retry goes on from there."""
    _expect(job, "canceled", "queued", "running")
    return _end(job, "canceled", failure)


def hand_back(job: Job, failure: Failure | None = None) -> Job:
    """running → queued: the run stops before its end, and another one goes on at its first unfinished step.

    ``failure`` is why, where it is not the worker that had to go.
    """
    _expect(job, "handed back", "running")
    ended = _end(_stopped(job), "failed" if failure else "queued", failure)
    return replace(ended, status="queued")


def lose(job: Job) -> Job:
    """running → queued: the process that ran the job died, and nobody has begun it again yet."""
    _expect(job, "handed back", "running")
    return replace(_stopped(job), status="queued", failure=None, attempts=_ended(job.attempts, "lost"))


def editable(job: Job) -> Job:
    """The job if its steps may be changed now: not while it runs."""
    if job.status == "running":
        raise JobError(f"The job {job.id} is running; its steps can be changed when it has ended.")
    return job


def next_step(job: Job) -> tuple[int, JobStep] | None:
    """The first step that has neither a result nor failed in this attempt."""
    for index, step in enumerate(job.steps):
        if step.status not in ("completed", "failed"):
            return index, step
    return None


def is_done(step: JobStep) -> bool:
    """Whether a step was completed and its result kept."""
    return step.status == "completed" and (step.finished is not None or step.delivered)


def _end(job: Job, status: Status, failure: Failure | None) -> Job:
    is_lost = failure is not None and failure.kind == "lost"
    attempts = _ended(job.attempts, "lost" if is_lost else status)
    return replace(job, status=status, failure=failure, attempts=attempts)


def _ended(attempts: tuple[Attempt, ...], outcome: AttemptOutcome) -> tuple[Attempt, ...]:
    """The attempts, with an end for one that has none."""
    return tuple(
        attempt if attempt.ended else replace(attempt, ended=now(), outcome=outcome) for attempt in attempts
    )


def _stopped(job: Job) -> Job:
    """The job with steps that were begun as they were before."""
    steps = (step.fresh("queued") if step.status == "started" else step for step in job.steps)
    return replace(job, steps=tuple(steps))


def _expect(job: Job, done: str, *allowed: Status) -> None:
    if job.status not in allowed:
        needed = " or ".join(allowed)
        raise JobError(f"The job {job.id} is {job.status} and cannot be {done}; it must be {needed}.")
