from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from mien.db import Database
from mien.jobs.database import DatabaseStore
from mien.service.events import KEPT_PROGRESS, Events
from tests.service.workplaces import new_job


@pytest.fixture
def events(database: Database) -> Events:
    return Events(database)


def test_events_come_in_order_behind_the_last_one_that_was_seen(events: Events) -> None:
    for number in range(4):
        events.append("a", "notice", {"text": str(number)})
    events.append("b", "notice", {"text": "other"})
    found = events.since("a")
    assert [event.data["text"] for event in found] == ["0", "1", "2", "3"]
    assert [event.data["text"] for event in events.since("a", found[1].id)] == ["2", "3"]
    assert events.last() == events.since("b")[0].id


@pytest.mark.parametrize("same_process", [True, False])
def test_who_waits_is_told(events: Events, database: Database, same_process: bool) -> None:
    writer = events if same_process else Events(database)
    timer = threading.Timer(0.2, lambda: writer.append("a", "status", {"status": "running"}))
    timer.start()
    (event,) = events.wait("a", 0, 30)
    assert event.data == {"status": "running"}
    timer.join()
    assert events.wait("a", event.id, 0.05) == []


def test_what_concerns_an_owner_is_found(events: Events, database: Database) -> None:
    store = DatabaseStore(database)
    store.insert([new_job("a", {}, owner="anna"), new_job("b", {}, owner="bert")])
    for job in ("a", "b", "a"):
        events.append(job, "notice", {})
    assert events.changed("anna", 0, 0) == (["a"], events.since("a")[-1].id)
    assert events.changed(None, 0, 0) == (["b", "a"], events.last())
    assert events.changed("anna", events.last(), 0)[0] == []


def test_old_progress_goes_and_the_rest_stays(events: Events) -> None:
    events.append("a", "status", {})
    with events._database.begin() as connection:
        for number in range(KEPT_PROGRESS + 20):
            events.append("a", "progress", {"done": number}, connection)
        events.append("b", "progress", {"done": 0}, connection)
    events.prune("a")
    found = events.since("a", limit=1000)
    assert found[0].type == "status"
    assert [event.data["done"] for event in found[1:]] == list(range(20, KEPT_PROGRESS + 20))
    events.prune("b")
    assert len(events.since("b")) == 1


def test_only_the_newest_preview_is_kept(events: Events) -> None:
    for number in range(3):
        events.append("a", "preview", {"number": number})
    assert [event.data["number"] for event in events.since("a")] == [2]


def test_a_change_that_fails_leaves_no_event(events: Events) -> None:
    def failing() -> None:
        with events._database.begin() as connection:
            events.append("a", "notice", {}, connection)
            raise ZeroDivisionError

    check: Callable[[], None] = failing
    with pytest.raises(ZeroDivisionError):
        check()
    assert events.since("a") == []
    started = time.monotonic()
    assert events.wait("a", 0, 0.01) == []
    assert time.monotonic() - started < 30
