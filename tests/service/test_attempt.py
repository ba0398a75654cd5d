from __future__ import annotations

import threading
import time
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.db import open_database
from mien.errors import Canceled, DatabaseUnavailable, JobBusy
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.pipeline.progress import Progress
from mien.service import attempt as module
from mien.service.attempt import Attempt, Stoppable, Why, patiently
from mien.service.events import Events
from tests.jobs.test_database import new

WHYS: tuple[Why, ...] = ("canceled", "overtaken", "late", "handed_back")


class Time:
    """Time that passes while somebody sleeps, or is told to."""

    def __init__(self) -> None:
        self.now = 100.0
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.now += seconds


@pytest.fixture
def store(tmp_path: Path) -> Iterator[DatabaseStore]:
    database = open_database(f"sqlite:///{tmp_path}/mien.db")
    yield DatabaseStore(database)
    database.close()


@pytest.fixture
def attempt(store: DatabaseStore) -> Attempt:
    store.insert([new("x")])
    row = store.change("x", lambda job: states.begin(job, "worker"))
    return Attempt(store, Events(store.database), row, time.monotonic() + 600)


def told(store: DatabaseStore) -> list[tuple[str, Any]]:
    return [(event.type, event.data) for event in Events(store.database).since("x")]


@settings(deadline=None, max_examples=40)
@given(st.lists(st.sampled_from(WHYS), min_size=1, max_size=6))
def test_the_first_reason_to_stop_counts(reasons: list[Why]) -> None:
    work = Stoppable("x", 1, 0.0)
    assert work.why is None
    work.cancel.raise_if_set()
    for why in reasons:
        work.stop(why)
    assert work.why == reasons[0]
    with pytest.raises(Canceled):
        work.cancel.raise_if_set()


def test_whoever_sees_the_stop_sees_a_reason_that_stays() -> None:
    work = Stoppable("x", None, 0.0)
    gate = threading.Barrier(len(WHYS) + 1)
    seen: list[Why | None] = []

    def stop(why: Why) -> None:
        gate.wait(30)
        work.stop(why)
        seen.append(work.why)

    threads = [threading.Thread(target=stop, args=[why]) for why in WHYS]
    for thread in threads:
        thread.start()
    gate.wait(30)
    for thread in threads:
        thread.join(30)
    assert seen == [work.why] * len(WHYS)
    assert work.why is not None


def test_a_change_its_columns_and_its_events_are_one(attempt: Attempt, store: DatabaseStore) -> None:
    seen: list[int] = []
    row = attempt.change(
        lambda job: states.start_step(job, 0, "in"),
        ("step", {"index": 0}),
        ("notice", {"text": "small"}),
        also=lambda connection, row: seen.append(row.fence),
        external={"a": 1},
    )
    assert (row.job.steps[0].status, row.external, seen) == ("started", {"a": 1}, [1])
    assert attempt.row == row == store.row("x")
    assert told(store) == [("step", {"index": 0}), ("notice", {"text": "small"})]


def test_nothing_is_left_of_a_change_that_fails(attempt: Attempt, store: DatabaseStore) -> None:
    before = attempt.row

    def fail(*_: object) -> None:
        raise RuntimeError("in the middle")

    with pytest.raises(RuntimeError, match="in the middle"):
        attempt.change(lambda job: states.start_step(job, 0, ""), ("step", {}), also=fail, external={"a": 1})
    assert attempt.row == before == store.row("x")
    assert told(store) == []


def test_a_run_that_was_overtaken_writes_nothing_any_more(attempt: Attempt, store: DatabaseStore) -> None:
    store.change("x", lambda job: states.begin(job, "another"))
    after = store.row("x")
    progress = Progress("process", 1, 2)
    for write in (
        lambda: attempt.change(states.complete, ("status", {})),
        lambda: attempt.tell("preview", {}),
        lambda: attempt.report(progress, 0, 1),
    ):
        with pytest.raises(JobBusy, match="taken over"):
            write()
    assert store.row("x") == after
    assert told(store) == []


def test_progress_is_stored_at_most_twice_a_second(
    attempt: Attempt, store: DatabaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time()
    monkeypatch.setattr(module, "time", clock)
    for done, moment in enumerate((100.0, 100.4, 100.49, 100.5, 100.9, 101.0)):
        clock.now = moment
        attempt.report(Progress("process", done, 6, 12.3456, 7.89, "240p"), 1, 2)
    assert [data["done"] for _, data in told(store)] == [0, 3, 5]
    assert store.row("x").progress == {
        "stage": "process",
        "done": 5,
        "total": 6,
        "step": 1,
        "steps": 2,
        "fps": 12.35,
        "remaining_seconds": 7.9,
        "message": "240p",
    }


def test_old_progress_is_removed_every_now_and_then(
    attempt: Attempt, store: DatabaseStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Time()
    monkeypatch.setattr(module, "time", clock)
    monkeypatch.setattr(module, "PRUNED_EVERY", 4)
    monkeypatch.setattr("mien.service.events.KEPT_PROGRESS", 3)
    for done in range(9):
        clock.now += 1
        attempt.report(Progress("analyse", done, 9), 0, 1)
    assert [data["done"] for _, data in told(store)] == [5, 6, 7, 8]
    assert told(store)[-1][1]["remaining_seconds"] is None


def test_a_database_that_comes_back_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Time()
    monkeypatch.setattr(module, "time", clock)
    failures = [DatabaseUnavailable("away")] * 7

    def act() -> str:
        if failures:
            raise failures.pop()
        return "done"

    assert patiently(act) == "done"
    assert clock.slept == [0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0]


@settings(deadline=None, max_examples=40)
@given(st.floats(0, 200))
def test_patience_comes_to_an_end_in_time(patience: float) -> None:
    clock, tries = Time(), 0

    def act() -> None:
        nonlocal tries
        tries += 1
        raise DatabaseUnavailable("away")

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "time", SimpleNamespace(monotonic=clock.monotonic, sleep=clock.sleep))
        with pytest.raises(DatabaseUnavailable, match="away"):
            patiently(act, patience)
    assert tries == len(clock.slept) + 1
    assert patience - 2.0 - 1e-9 <= sum(clock.slept) <= patience + 1e-9


def test_other_errors_are_not_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Time()
    monkeypatch.setattr(module, "time", clock)

    def act() -> None:
        raise JobBusy("taken over")

    with pytest.raises(JobBusy):
        patiently(act)
    assert clock.slept == []
