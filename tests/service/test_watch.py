from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from typing import Any

import pytest

from mien.db import Database
from mien.errors import DatabaseUnavailable
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.job import Finished
from mien.service import watch as module
from mien.service.attempt import Stoppable, Why
from mien.service.watch import Watch
from tests.jobs.test_database import new

FAR = 1e9
"""Seconds until a deadline that no test reaches."""


def until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + 60
    while not condition():
        assert time.monotonic() < deadline, "it did not come true"
        time.sleep(0.005)


@pytest.fixture(params=["sqlite"])
def database_url(request: pytest.FixtureRequest, tmp_path: Any) -> str:
    """The kind of database makes no difference to one query."""
    return f"sqlite:///{tmp_path}/mien.db"


@pytest.fixture
def store(database: Database) -> DatabaseStore:
    return DatabaseStore(database)


@pytest.fixture
def watch(database: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[Watch]:
    monkeypatch.setattr(module, "EVERY", 0.01)
    found = Watch(database)
    yield found
    found.close()


def begin(store: DatabaseStore, id: str, seconds: float = FAR) -> Stoppable:
    """The run of a job that has begun, and its first attempt."""
    store.insert([new(id)])
    row = store.change(id, lambda job: states.begin(job, "w"))
    return Stoppable(id, row.fence, time.monotonic() + seconds)


def next_run(store: DatabaseStore, id: str) -> None:
    store.change(id, states.lose)
    store.change(id, lambda job: states.begin(job, "next"))


def end(store: DatabaseStore, id: str) -> None:
    store.change(id, lambda job: states.complete(states.finish_step(job, 0, Finished("", ""))))


@pytest.mark.parametrize(
    ("what", "why"),
    [
        (lambda store, id: store.request_cancel(id), "canceled"),
        (end, "canceled"),  # somebody ended it by hand
        (next_run, "overtaken"),
        (lambda store, id: store.delete(id), "overtaken"),
        (lambda store, id: (next_run(store, id), store.request_cancel(id)), "overtaken"),
    ],
)
def test_a_run_is_told_to_stop_and_why(
    store: DatabaseStore, watch: Watch, what: Callable[[DatabaseStore, str], object], why: Why
) -> None:
    mine, other = begin(store, "mine"), begin(store, "other")
    with watch.over(mine), watch.over(other):
        what(store, "mine")
        until(lambda: mine.why)
        assert (mine.why, mine.cancel.is_set) == (why, True)
        assert (other.why, other.cancel.is_set) == (None, False)


def test_a_run_ends_when_its_time_is_over(store: DatabaseStore, watch: Watch) -> None:
    late, early = begin(store, "late", -1.0), begin(store, "early")
    with watch.over(late), watch.over(early):
        until(lambda: late.why)
        assert (late.why, early.why) == ("late", None)


def test_who_was_canceled_and_is_late_was_canceled(store: DatabaseStore, watch: Watch) -> None:
    mine = begin(store, "mine", -1.0)
    store.request_cancel("mine")
    with watch.over(mine):
        until(lambda: mine.why)
        assert mine.why == "canceled"


def test_work_for_a_job_goes_on_whichever_run_it_is(store: DatabaseStore, watch: Watch) -> None:
    begin(store, "shared")
    part, probe = Stoppable("shared", None, time.monotonic() + FAR), begin(store, "probe")
    with watch.over(part), watch.over(probe):
        next_run(store, "shared")
        store.request_cancel("probe")
        until(lambda: probe.why)
        assert part.why is None
        end(store, "shared")
        until(lambda: part.why)
        assert part.why == "canceled"


def test_runs_are_counted_and_waited_for(store: DatabaseStore, watch: Watch) -> None:
    one, two = begin(store, "one"), begin(store, "two")
    assert (watch.count, watch.wait_for_none(0)) == (0, True)
    leave = threading.Event()

    def run() -> None:
        with watch.over(two):
            leave.wait(60)

    thread = threading.Thread(target=run)
    with watch.over(one):
        thread.start()
        until(lambda: watch.count == 2)
        assert not watch.wait_for_none(0.01)
    assert watch.count == 1
    leave.set()
    assert watch.wait_for_none(60)
    thread.join(60)


def test_a_run_that_fails_is_watched_no_more(store: DatabaseStore, watch: Watch) -> None:
    with pytest.raises(ZeroDivisionError), watch.over(begin(store, "mine")):
        raise ZeroDivisionError
    assert watch.count == 0


def test_all_runs_are_handed_back_and_those_that_are_yet_to_come(store: DatabaseStore, watch: Watch) -> None:
    first, later, after = (begin(store, id) for id in ("first", "later", "after"))
    with watch.over(first):
        watch.hand_back()
        assert (first.why, watch.closing) == ("handed_back", True)
        with watch.over(later):
            assert later.why == "handed_back"
    watch.open()
    with watch.over(after):
        assert (after.why, watch.closing) == (None, False)


def test_the_first_reason_counts(store: DatabaseStore, watch: Watch) -> None:
    mine = begin(store, "mine")
    with watch.over(mine):
        store.request_cancel("mine")
        until(lambda: mine.why)
        watch.hand_back()
        assert mine.why == "canceled"


@pytest.mark.parametrize("straggler", [False, True], ids=["at rest", "with a run after its end"])
def test_after_its_end_it_can_begin_again(store: DatabaseStore, watch: Watch, straggler: bool) -> None:
    with watch.over(begin(store, "before")):
        pass
    watch.close()
    others = threads()
    if straggler:
        with watch.over(begin(store, "straggler")):
            pass
        until(lambda: threads() <= others)
    watch.open()
    mine = begin(store, "mine")
    with watch.over(mine):
        store.request_cancel("mine")
        until(lambda: mine.why)
        assert mine.why == "canceled"


def threads() -> set[threading.Thread]:
    return {thread for thread in threading.enumerate() if thread.name == "mien-watch"}


def test_there_is_one_thread_while_there_are_runs_and_none_after_the_end(
    store: DatabaseStore, watch: Watch
) -> None:
    others = threads()
    with watch.over(begin(store, "one")), watch.over(begin(store, "two")):
        watch.hand_back()
        watch.open()
        with watch.over(begin(store, "three")):
            assert len(threads() - others) == 1
    watch.close()
    until(lambda: threads() <= others)


class Away:
    """A database that is away for the first looks."""

    def __init__(self, database: Database, looks: int) -> None:
        self._database, self.left = database, looks

    def read(self) -> AbstractContextManager[Any]:
        if self.left > 0:
            self.left -= 1
            raise DatabaseUnavailable("The database cannot be reached.")
        return self._database.read()


def test_a_database_that_is_away_stops_nothing_and_is_asked_again(
    store: DatabaseStore, database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "EVERY", 0.01)
    away: Any = Away(database, 3)
    watch, mine = Watch(away), begin(store, "mine")
    with watch.over(mine):
        until(lambda: away.left == 0)
        store.request_cancel("mine")
        until(lambda: mine.why)
        assert mine.why == "canceled"
    watch.close()
