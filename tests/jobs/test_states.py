from __future__ import annotations

import pytest

from mien.errors import JobError
from mien.jobs import states
from mien.jobs.codec import decode, encode
from mien.jobs.job import Failure, Finished, Job, JobStep, now


def running(steps: int = 2) -> Job:
    """A job whose first step has been begun."""
    job = states.submit(Job("x", now(), steps=tuple(JobStep({}) for _ in range(steps))))
    return states.start_step(states.begin(job, "one"), 0, "inputs")


def outcomes(job: Job) -> list[str | None]:
    return [attempt.outcome for attempt in job.attempts]


def test_an_attempt_whose_process_died_is_lost_once_another_begins() -> None:
    job = states.begin(running(), "two")
    assert outcomes(job) == ["lost", None]
    assert job.attempts[0].ended is not None
    assert outcomes(states.begin(states.hand_back(job), "three")) == ["lost", "queued", None]


def test_a_job_may_be_taken_from_a_dead_process_before_another_begins() -> None:
    job = states.lose(states.finish_step(running(), 0, Finished("a", "inputs")))
    job = states.lose(states.start_step(states.begin(job, "two"), 1, "inputs"))
    assert (job.status, outcomes(job)) == ("queued", ["lost", "lost"])
    assert [step.status for step in job.steps] == ["completed", "queued"]
    assert not states.was_interrupted(job)
    with pytest.raises(JobError, match="must be running"):
        states.lose(job)


@pytest.mark.parametrize(("kind", "outcome"), [("lost", "lost"), ("internal", "failed")])
def test_a_job_that_killed_its_workers_ends_with_a_lost_attempt(kind: str, outcome: str) -> None:
    failure = Failure(kind, "It failed.")  # type: ignore[arg-type]
    job = states.fail(running(), failure)
    assert (job.status, job.failure, outcomes(job)) == ("failed", failure, [outcome])


def test_what_was_given_up_for_a_reason_has_failed_and_what_was_handed_back_has_not() -> None:
    assert outcomes(states.hand_back(running(), Failure("timeout", "Late."))) == ["failed"]
    assert outcomes(states.hand_back(running())) == ["queued"]
    assert outcomes(states.cancel(running(), Failure("canceled", "Canceled."))) == ["canceled"]


def test_every_outcome_is_stored_as_it_is() -> None:
    job = states.lose(running())
    assert decode("x", job.status, encode(job)) == job


def test_a_job_without_steps_or_with_unfinished_ones_goes_nowhere() -> None:
    with pytest.raises(JobError, match="no step"):
        states.submit(Job("x", now()))
    with pytest.raises(JobError, match="unfinished"):
        states.complete(running())
    with pytest.raises(JobError, match="can be changed when it has ended"):
        states.editable(running())
    assert states.next_step(running()) == (0, running().steps[0])
