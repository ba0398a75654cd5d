from __future__ import annotations

import time
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from typing import Any

import pytest

from mien.db import Database
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.dispatcher import task_id
from mien.jobs.engine import Outcome, TaskState
from mien.jobs.job import Finished
from mien.jobs.queries import CLI, PULL
from mien.jobs.rows import JobRow
from mien.service import repair as module
from mien.service.events import Events
from mien.service.repair import Repair
from mien.service.running import Runs
from mien.service.settings import ServiceSettings
from mien.service.watch import Watch
from tests.jobs.test_database import new
from tests.service.workplaces import workplace

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what the kind of database makes no difference to."""


class Engine:
    """A job engine that only says what it was told to know."""

    def __init__(self) -> None:
        self.known: dict[str, Outcome] = {}
        self.meanwhile: Callable[[], object] = lambda: None

    def outcomes(self, ids: Collection[str], *, values: bool = True) -> Mapping[str, Outcome]:
        self.meanwhile()
        return {id: self.known[id] for id in ids if id in self.known}


class Place:
    """What repairs the jobs of a database."""

    def __init__(self, database: Database, folder: Path) -> None:
        self.store, self.engine = DatabaseStore(database), Engine()
        self.events, self.ended = Events(database), list[str]()
        runs = Runs(
            self.store,
            self.events,
            ServiceSettings(retain_jobs=100),
            {},
            folder,
            "w",
            Watch(database),
            on_ended=lambda row: self.ended.append(row.id),
        )
        engine: Any = self.engine
        self.repair = Repair(self.store, engine, runs)

    def handed_over(self, id: str, state: TaskState | None, **values: Any) -> JobRow:
        """A job in the queue of which the engine says so much."""
        self.store.insert([new(id, **values)])
        row = self.store.change(id, dispatched=True, dispatches=1)
        if state is not None:
            self.engine.known[task_id(row)] = Outcome(state)
        return row

    def begun(self, id: str, state: TaskState | None, **columns: Any) -> JobRow:
        """A job that a worker runs, and what the engine says of that."""
        self.handed_over(id, state)
        return self.store.change(id, lambda job: states.begin(job, "dead"), **columns)

    def left(self) -> list[str]:
        """The jobs that are to be handed over anew."""
        return [row.id for row in self.store.undispatched()]


@pytest.fixture
def place(database: Database, tmp_path: Path) -> Place:
    return Place(database, tmp_path)


ANY_AGE = -5.0
"""Seconds of quiet that every job has had, whatever the clocks of two machines say."""


def test_jobs_behind_which_no_task_stands_are_handed_over_anew(place: Place) -> None:
    states_of_tasks: list[TaskState | None] = ["waiting", "running", "done", "failed", "canceled", None]
    for state in states_of_tasks:
        place.handed_over(f"queued {state}", state)
        place.begun(f"begun {state}", state)
    assert place.repair.redispatch(ANY_AGE) == 8
    lost = ["done", "failed", "canceled", "None"]
    assert place.left() == [f"{kind} {state}" for state in lost for kind in ("queued", "begun")]
    for state in ("waiting", "running"):
        assert place.store.row(f"begun {state}").status == "running"
        assert place.store.row(f"queued {state}").dispatched
    assert place.repair.redispatch(ANY_AGE) == 0


@SQLITE
def test_the_run_that_was_lost_is_told_as_such_and_its_results_are_kept(place: Place) -> None:
    place.begun("x", None)
    place.store.change("x", lambda job: states.finish_step(job, 0, Finished("asset:a", "")), tries=2)
    place.repair.redispatch(ANY_AGE)
    row = place.store.row("x")
    assert [attempt.outcome for attempt in row.job.attempts] == ["lost"]
    assert states.is_done(row.job.steps[0])
    assert (row.status, row.dispatched, row.dispatch, row.tries) == ("queued", False, 2, 2)


@SQLITE
def test_the_task_that_counts_is_that_of_the_run_that_is_due(place: Place) -> None:
    row = place.handed_over("x", "waiting")
    place.store.change("x", dispatches=row.dispatches + 1)
    assert place.repair.redispatch(ANY_AGE) == 1


def test_what_changed_a_moment_ago_is_left_alone(place: Place) -> None:
    place.handed_over("x", None)
    place.begun("y", None)
    assert place.repair.redispatch(3600) == 0
    assert place.left() == []


def test_what_is_nobodys_to_drive_is_left_alone(place: Place) -> None:
    for kind in ("lent", "over"):
        until = time.time() + (3600 if kind == "lent" else -3600)
        place.begun(kind, None, lease_until=until, lease_token="hash")
    place.handed_over("command", None, kind=CLI)
    place.handed_over("fetched", None, environment=f"{PULL}comm")
    place.store.insert([new("to be dispatched")])
    place.begun("done", None)
    place.store.change("done", lambda job: states.complete(states.finish_step(job, 0, Finished("", ""))))
    assert place.repair.redispatch(ANY_AGE) == 1
    assert place.left() == ["over", "to be dispatched"]


@SQLITE
@pytest.mark.parametrize("what", ["begun", "ended", "deleted"])
def test_a_job_that_goes_on_in_this_moment_is_not_disturbed(place: Place, what: str) -> None:
    place.handed_over("x", "done")
    place.handed_over("y", None)

    def meanwhile() -> None:
        if what == "begun":
            place.store.change("x", lambda job: states.begin(job, "other"))
        elif what == "ended":
            place.store.request_cancel("x")
        else:
            place.store.delete("x")

    place.engine.meanwhile = meanwhile
    assert place.repair.redispatch(ANY_AGE) == 1
    assert place.left() == ["y"]
    if what != "deleted":
        assert place.store.row("x").status == ("running" if what == "begun" else "canceled")


@SQLITE
def test_many_are_repaired_in_several_goes(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "LIMIT", 2)
    for number in range(5):
        place.handed_over(f"x{number}", None)
    assert [place.repair.redispatch(ANY_AGE) for _ in range(4)] == [2, 2, 1, 0]
    assert place.left() == [f"x{number}" for number in range(5)]


def test_jobs_that_were_not_begun_in_time_fail_and_it_is_told(place: Place) -> None:
    late, early = time.time() - 10, time.time() + 3600
    place.store.insert([new("late", start_by=late), new("early", start_by=early), new("never")])
    place.store.insert([new("task", start_by=late, environment=f"{PULL}comm", workflow="w")])
    place.store.insert([new("command", start_by=late, kind=CLI)])
    place.store.insert([new("begun once", start_by=late)])
    place.store.change("begun once", lambda job: states.begin(job, "w"))
    place.store.change("begun once", states.hand_back)
    assert place.repair.fail_overdue() == 2
    assert place.ended == ["late", "task"]
    row = place.store.row("late")
    assert (row.status, row.job.failure and row.job.failure.code) == ("failed", "timed_out")
    assert row.expires_at is not None
    assert [event.data["status"] for event in place.events.since("late")] == ["failed"]
    assert place.repair.fail_overdue() == 0
    for id in ("early", "never", "command", "begun once"):
        assert place.store.row(id).status == "queued"


@SQLITE
def test_a_late_job_that_begins_in_this_moment_goes_on(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    place.store.insert([new("x", start_by=time.time() - 10), new("y", start_by=time.time() - 10)])
    fail = Runs.fail_waiting

    def begun(runs: Runs, row: JobRow, failure: Any) -> JobRow:
        if row.id == "x":
            place.store.change("x", lambda job: states.begin(job, "w"))
        return fail(runs, row, failure)

    monkeypatch.setattr(Runs, "fail_waiting", begun)
    assert place.repair.fail_overdue() == 1
    assert (place.store.row("x").status, place.ended) == ("running", ["y"])


def test_a_job_that_the_engine_forgot_is_run_after_all(database_url: str, tmp_path: Path) -> None:
    """With the engine itself."""
    step = {"target_path": "none.png", "label": "a"}
    with workplace(database_url, tmp_path / "data") as place:
        row = place.submit(step)
        place.engine.forget([task_id(row)])
        place.jobs.start("all")
        place.submit(step, id="job_2")
        place.wait("job_2")
        assert place.store.row("job_1").status == "queued"
        folder = place.settings.data_folder()
        runs = Runs(place.store, place.events, place.settings, {}, folder, "test", place.jobs.watch)
        repair = Repair(place.store, place.engine, runs)
        assert repair.redispatch(quiet_for=-1) == 1
        assert place.wait().status == "completed"
        assert repair.redispatch(quiet_for=-1) == 0
