from __future__ import annotations

import threading
import time
from dataclasses import replace
from pathlib import Path

import pytest

from mien.db import Database
from mien.errors import JobBusy, JobError, JobExists, JobMissing
from mien.jobs import editing, states
from mien.jobs.database import DatabaseStore
from mien.jobs.job import Job, now
from mien.jobs.rows import NewJob
from mien.jobs.store import open_store
from tests.jobs.contract import STEP, StoreContract, queued


@pytest.fixture
def store(database: Database) -> DatabaseStore:
    return DatabaseStore(database)


class TestDatabaseStore(StoreContract):
    @pytest.fixture
    def store(self, database: Database) -> DatabaseStore:
        return DatabaseStore(database)


def new(id: str, **values: object) -> NewJob:
    job = Job(id, now(), status="queued", steps=(replace(STEP, status="queued"),))
    return NewJob(job, **values)  # type: ignore[arg-type]


def test_a_run_whose_process_died_can_be_begun_again_when_its_lease_ends(database: Database) -> None:
    store = DatabaseStore(database, lease=1.0)
    queued(store)
    dead = store.claim("x", "dead")
    dead.__enter__()
    for thread in threading.enumerate():  # a process that dies renews nothing
        if thread.daemon and getattr(thread, "_args", ())[:1] == ("x",):
            thread._args[2].set()
    with pytest.raises(JobBusy), store.claim("x", "early"):
        pass
    deadline = time.monotonic() + 60
    while store.get("x").status == "running":
        assert time.monotonic() < deadline
        time.sleep(0.05)
    with store.claim("x", "next") as claim:
        assert [attempt.worker for attempt in claim.job.attempts] == ["dead", "next"]


def test_a_run_that_lives_keeps_its_job(database: Database) -> None:
    store = DatabaseStore(database, lease=0.4)
    queued(store)
    with store.claim("x", "w"):
        time.sleep(1.2)
        with pytest.raises(JobBusy), store.claim("x", "other"):
            pass


def test_what_is_told_of_new_jobs_is_what_was_stored(store: DatabaseStore) -> None:
    many = {"owner": "anna", "kind": "workflow", "priority": 0, "environment": "comfyui", "workflow": "w"}
    more = {"batch": "b", "request": {"metadata": {"a": [1, None]}}, "start_by": 1.5, "queue": "cpu"}
    draft = NewJob(Job("draft", now(), steps=(STEP,)), expires_at=2.5)
    told = store.insert([new("plain"), new("full", **many, **more), draft])
    assert [row.id for row in told] == ["plain", "full", "draft"]
    assert [row.seq for row in told] == sorted({row.seq for row in told})
    assert list(told) == [store.row(row.id) for row in told]


def test_jobs_of_the_service_are_not_those_of_commands(store: DatabaseStore) -> None:
    store.insert([new("job_1")])
    store.create("mine")
    assert [job.id for job in store.jobs()] == ["mine"]
    assert [row.id for row in store.page()[0]] == ["job_1"]
    with pytest.raises(JobError, match="belongs to the service"), store.claim("job_1", "w"):
        pass
    with pytest.raises(JobExists):
        store.insert([new("job_2"), new("job_1")])
    assert [row.id for row in store.page()[0]] == ["job_1"]


def test_what_belongs_to_others_is_not_there(store: DatabaseStore) -> None:
    store.insert([new("a", owner="anna"), new("b", owner="bert")])
    assert store.row("a", "anna").owner == "anna"
    for act in (lambda: store.row("a", "bert"), lambda: store.request_cancel("a", "bert")):
        with pytest.raises(JobMissing):
            act()
    assert [row.id for row in store.page(owner="bert")[0]] == ["b"]
    assert store.counts("anna") == {"queued": 1}


def test_jobs_are_handed_over_by_priority_then_age(store: DatabaseStore) -> None:
    store.insert([new("late", priority=9), new("one"), new("two"), new("first", priority=0)])
    assert [row.id for row in store.undispatched()] == ["first", "one", "two", "late"]
    assert store.ahead_of(store.row("two")) == 2
    store.mark_dispatched(store.undispatched(2))
    assert [row.id for row in store.undispatched(1)] == ["two"]
    assert [(row.dispatched, row.dispatch) for row in (store.row("first"), store.row("two"))] == [
        (True, 1),
        (False, 1),
    ]
    assert store.oldest_queued() is not None


def test_a_run_that_is_due_anew_has_another_number_and_is_not_taken_for_the_old_one(
    store: DatabaseStore,
) -> None:
    store.insert([new("x")])
    first = store.row("x")
    store.mark_dispatched([first])
    store.request_cancel("x")
    again = store.change("x", states.retry)
    assert (again.dispatched, again.dispatch, again.cancel_requested) == (False, 2, False)
    store.mark_dispatched([first])  # somebody who was late
    assert store.row("x").dispatch == 2
    assert [row.id for row in store.undispatched()] == ["x"]
    store.change("x", not_before=time.time() + 60)
    assert store.undispatched() == ()


def test_a_change_of_an_overtaken_attempt_is_refused(store: DatabaseStore) -> None:
    store.insert([new("x")])
    late = store.change("x", lambda job: states.begin(job, "late")).fence
    again = store.change("x", lambda job: states.begin(job, "next"))
    assert (again.fence, again.worker, again.status) == (late + 1, "next", "running")
    with pytest.raises(JobBusy):
        store.change("x", states.complete, fence=late)
    assert store.change("x", fence=again.fence, progress={"done": 1}).progress == {"done": 1}


def test_what_waits_is_canceled_and_what_runs_is_asked_to_stop(store: DatabaseStore) -> None:
    draft = replace(new("draft"), job=Job("draft", now()))
    store.insert([new("waits"), new("runs"), draft])
    store.change("runs", lambda job: states.begin(job, "w"))
    assert store.request_cancel("waits").status == "canceled"
    assert store.request_cancel("draft").status == "canceled"
    running = store.request_cancel("runs")
    assert (running.status, running.cancel_requested) == ("running", True)
    with pytest.raises(JobError):
        store.request_cancel("waits")


def test_what_also_happens_happens_with_the_change_or_not_at_all(store: DatabaseStore) -> None:
    store.insert([new("x")])

    def fails(connection: object, row: object) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.change("x", lambda job: states.begin(job, "w"), also=fails)
    assert store.row("x").status == "queued"


def test_odd_text_survives(store: DatabaseStore) -> None:
    odd = {"note": "\x00\udcff ü 人"}
    store.create("x")
    step = replace(STEP, args={**STEP.args, "target_path": "M\udcff.jpg"}, extra=odd)
    store.update("x", lambda job: editing.add_step(job, step))
    assert store.get("x").steps[0].extra == odd
    store.insert([new("y", request={"metadata": odd})])
    assert store.row("y").request == {"metadata": odd}


def test_a_store_is_opened_by_its_url(tmp_path: Path) -> None:
    store = open_store(f"sqlite:///{tmp_path}/jobs.db")
    store.create("x")
    assert open_store(f"sqlite:///{tmp_path}/jobs.db").get("x").status == "drafted"
    with pytest.raises(JobError, match="name a folder or a database"):
        open_store("s3://bucket/jobs")


def test_a_removed_job_is_gone(store: DatabaseStore) -> None:
    store.insert([new("x")])
    store.remove("x")
    store.remove("x")
    with pytest.raises(JobMissing):
        store.row("x")
