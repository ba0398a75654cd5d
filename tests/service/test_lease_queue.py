from __future__ import annotations

import time
from typing import Any

import pytest

from mien.db import Database
from mien.jobs import states
from mien.jobs.database import DatabaseStore
from mien.jobs.rows import JobRow
from mien.service.lease_queue import PAGE, LeaseQueue
from tests.jobs.test_database import new
from tests.service.test_leases import COMM, swap, task

SQLITE = pytest.mark.parametrize("database_url", ["sqlite"], indirect=True)
"""For what the kind of database makes no difference to."""


@pytest.fixture
def store(database: Database) -> DatabaseStore:
    return DatabaseStore(database)


@pytest.fixture
def queue(store: DatabaseStore) -> LeaseQueue:
    return LeaseQueue(store)


def id_of(row: JobRow | None) -> str | None:
    return row and row.id


def lend(store: DatabaseStore, id: str, seconds: float, **columns: Any) -> None:
    """As if somebody had the task for so many seconds from now."""
    until = time.time() + seconds
    columns = {"lease_token": "hash", "lease_until": until, **columns}
    store.change(id, lambda job: states.begin(job, "w"), **columns)


@SQLITE
def test_by_priority_and_among_equals_the_older_one(store: DatabaseStore, queue: LeaseQueue) -> None:
    assert queue.due([COMM], None) is None
    store.insert([task("late", priority=9), task("one"), task("two"), task("first", priority=0)])
    order = []
    while (row := queue.due([COMM], None)) is not None:
        order.append(row.id)
        lend(store, row.id, 100)
    assert order == ["first", "one", "two", "late"]


@SQLITE
def test_looking_changes_nothing(store: DatabaseStore, queue: LeaseQueue) -> None:
    (before,) = store.insert([task("x")])
    assert queue.due([COMM], None) == queue.due([COMM], None) == before
    assert store.row("x") == before


def test_only_tasks_of_these_environments_and_of_that_owner(store: DatabaseStore, queue: LeaseQueue) -> None:
    store.insert([new("no_task", environment=COMM), task("elsewhere", environment="pull:other")])
    store.insert([task("anna", owner="anna"), swap("local")])
    assert id_of(queue.due([COMM], None)) == "anna"
    assert queue.due([COMM], "bert") is None
    assert id_of(queue.due([COMM, "pull:other", "local"], "")) == "elsewhere"
    assert id_of(queue.due(["local", "remote"], None)) == "local"
    assert queue.due([], None) is None


def test_what_waits_for_another_try_is_not_due_before_its_time(
    store: DatabaseStore, queue: LeaseQueue
) -> None:
    store.insert([task("x")])
    store.change("x", not_before=time.time() + 3600)
    assert queue.due([COMM], None) is None
    store.change("x", not_before=time.time() - 1)
    assert id_of(queue.due([COMM], None)) == "x"


def test_what_was_lent_comes_back_when_nothing_is_heard(store: DatabaseStore, queue: LeaseQueue) -> None:
    store.insert([task("silent"), task("lives"), task("waits")])
    lend(store, "silent", 3600)
    lend(store, "lives", 3600)
    assert (id_of(queue.due([COMM], None)), queue.silent()) == ("waits", None)
    store.change("silent", lease_until=time.time() - 1)
    assert (id_of(queue.due([COMM], None)), id_of(queue.silent())) == ("silent", "silent")


@SQLITE
def test_what_a_worker_of_the_service_does_is_nobodys_lease(store: DatabaseStore, queue: LeaseQueue) -> None:
    """It has a lease without a token where it has one at all."""
    store.insert([swap("one"), swap("two")])
    for id, until in (("one", None), ("two", time.time() - 1)):
        store.change(id, lambda job: states.begin(job, "w"), lease_token=None, lease_until=until)
    assert (queue.due(["local"], None), queue.silent()) == (None, None)


@SQLITE
def test_what_cannot_be_lent_is_passed_over_however_much_of_it_there_is(
    store: DatabaseStore, queue: LeaseQueue
) -> None:
    store.insert([swap(f"other{number}", "face_enhancer") for number in range(2 * PAGE + 3)])
    assert queue.due(["local"], None) is None
    store.insert([swap("swap"), swap("last")])
    assert id_of(queue.due(["local"], None)) == "swap"
    # The same priority on both sides of the end of a page.
    store.insert([swap("urgent", priority=0), swap("idle", priority=9)])
    assert id_of(queue.due(["local"], None)) == "urgent"


def test_no_task_is_lost_between_two_pages(store: DatabaseStore, queue: LeaseQueue) -> None:
    store.insert([swap("wanted", priority=6)])
    others = 0
    for count in (1, 2, PAGE - 1, PAGE, PAGE + 1, PAGE + 2):
        store.insert([swap(f"other{number}", "face_enhancer") for number in range(others, count)])
        others = count
        assert id_of(queue.due(["local"], None)) == "wanted"


@SQLITE
def test_a_canceled_task_is_told_even_if_it_cannot_be_lent(store: DatabaseStore, queue: LeaseQueue) -> None:
    """Whoever asks for tasks ends it then."""
    store.insert([swap("x", "face_enhancer")])
    lend(store, "x", -1)
    assert queue.due(["local"], None) is None
    store.change("x", cancel_requested=True)
    assert id_of(queue.due(["local"], None)) == "x"


def test_what_was_canceled_while_it_was_handed_back_is_found(store: DatabaseStore, queue: LeaseQueue) -> None:
    store.insert([task("x"), task("y"), new("no_task")])
    store.change("no_task", cancel_requested=True)
    assert queue.silent() is None
    store.change("y", cancel_requested=True)
    assert id_of(queue.silent()) == "y"
    store.request_cancel("y")
    assert queue.silent() is None
