from __future__ import annotations

from dataclasses import replace

from mien.db import Database
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.job import Failure, Job, JobStep, now
from mien.jobs.rows import NewJob
from mien.service.counters import SECONDS, Counters


def _ended(database: Database, id: str, failure: Failure | None = None) -> None:
    store, counters = DatabaseStore(database), Counters(database)
    job = states.submit(Job(id, now(), steps=(JobStep({"processors": ["face_swapper"]}),)))
    store.insert([NewJob(job)])
    results = [{"step": 0, "seconds": 2.0, "frames": 50}] if failure is None else []

    def end(job: Job) -> Job:
        job = states.begin(job, "w")
        if failure is not None:
            return states.fail(job, failure)
        job = job.with_step(0, replace(job.steps[0], status="completed"))
        return states.complete(job)

    store.change(id, end, also=counters.job_changed, results=results)
    counters.flush()


def test_ends_of_jobs_are_counted_over_all_processes(database: Database) -> None:
    _ended(database, "a")
    _ended(database, "b")
    _ended(database, "c", Failure("unsafe_input", "No.", "unsafe_input", 15, False))
    found = {(count.name, *sorted(count.labels.items())): count.value for count in Counters(database).all()}
    assert found["jobs_ended", ("kind", "faces"), ("status", "completed")] == 2
    assert found["job_failures", ("code", "unsafe_input"), ("kind", "unsafe_input")] == 1
    assert found[("policy_refusals",)] == 1
    assert found["frames", ("processors", "face_swapper")] == 100
    assert found["step_seconds_sum", ("processors", "face_swapper")] == 4
    assert found["step_seconds_bucket", ("le", "2.5"), ("processors", "face_swapper")] == 2


def test_a_job_that_goes_on_counts_nothing(database: Database) -> None:
    store, counters = DatabaseStore(database), Counters(database)
    store.insert([NewJob(states.submit(Job("a", now(), steps=(JobStep({}),))))])
    store.change("a", lambda job: states.begin(job, "w"), also=counters.job_changed)
    assert counters.all() == []


def test_times_beyond_all_classes_are_counted_too(database: Database) -> None:
    counters = Counters(database)
    counters.observe("job_seconds", SECONDS[-1] * 2, kind="faces")
    assert {count.labels.get("le") for count in counters.all()} == {"+Inf", None}


def test_of_a_total_only_what_is_new_is_counted(database: Database) -> None:
    counters = Counters(database)
    for total in (2, 2, 5):
        counters.reached("model_loads", total, model="a")
    counters.flush()
    (found,) = counters.all()
    assert (found.name, found.labels, found.value) == ("model_loads", {"model": "a"}, 5)
    counters.reached("model_loads", 6, model="a")
    assert counters.all()[0].value == 6
