from __future__ import annotations

import threading
import time
from collections.abc import Callable

import pytest

from mien.db import Database
from mien.service.events import KEPT_PROGRESS, LATE, Events, Tail


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
    assert events.last(2) == [events.since("b")[0].id, found[3].id]


@pytest.mark.parametrize("same_process", [True, False])
def test_who_waits_is_told(events: Events, database: Database, same_process: bool) -> None:
    writer = events if same_process else Events(database)
    timer = threading.Timer(0.2, lambda: writer.append("a", "status", {"status": "running"}))
    timer.start()
    (event,) = events.wait("a", 0, 30)
    assert event.data == {"status": "running"}
    timer.join()
    assert events.wait("a", event.id, 0.05) == []


def test_each_event_is_told_once_from_the_beginning_of_a_look(events: Events) -> None:
    events.append("old", "notice", {})
    tail = events.tail()
    assert tail.changed(0) == []
    for job in ("b", "a", "b"):
        events.append(job, "notice", {})
    assert tail.changed(0) == ["b", "a"]
    assert tail.changed(0) == []
    timer = threading.Timer(0.2, lambda: events.append("later", "notice", {}))
    timer.start()
    assert tail.changed(30) == ["later"]
    timer.join()


def test_an_event_whose_transaction_ends_after_that_of_a_later_one_is_not_missed(
    events: Events, database: Database
) -> None:
    if database.is_sqlite:
        pytest.skip("SQLite lets one transaction write at a time")
    tail = events.tail()
    with database.begin() as slow:
        events.append("slow", "status", {}, slow)
        events.append("quick", "status", {})
        assert tail.changed(30) == ["quick"]
    assert tail.changed(30) == ["slow"]
    with database.begin() as slow:
        events.append("slow", "status", {}, slow)
        events.append("quick", "status", {})
        begun = events.tail()
    assert begun.changed(30) == ["slow"]


def test_what_was_told_long_ago_is_not_looked_at_again(events: Events) -> None:
    moment = 0.0
    tail = Tail(events, lambda: moment)
    for _ in range(3):
        events.append("a", "notice", {})
        assert tail.changed(0) == ["a"]
        assert tail.changed(0) == []
        moment += LATE + 1
    asked: list[int] = []
    behind, events.behind = events.behind, lambda id: asked.append(id) or behind(id)  # type: ignore[method-assign, func-returns-value]
    assert tail.changed(0) == []
    assert asked == [events.last(1)[0] - 1]


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
