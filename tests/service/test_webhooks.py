from __future__ import annotations

import threading
from dataclasses import replace
from typing import Any

import pytest
import sqlalchemy as sa

from mien.db import Database, tables
from mien.errors import NotFound, OptionError, UnsafeInput
from mien.jobs.database import DatabaseStore
from mien.jobs.job import Failure, Job, JobStep
from mien.jobs.rows import JobRow, NewJob
from mien.jobs.states import begin, complete, fail
from mien.service.deliveries import Deliveries
from mien.service.settings import ServiceSettings
from mien.service.webhooks import MOST, Webhooks

HOOK = "https://example.org/hook"


@pytest.fixture
def webhooks(database: Database, settings: ServiceSettings) -> Webhooks:
    return Webhooks(database, settings)


@pytest.fixture
def store(database: Database) -> DatabaseStore:
    return DatabaseStore(database)


def new_job(id: str, batch: str | None = None, **request: Any) -> NewJob:
    step = JobStep({"processors": ["face_debugger"], "target_path": "asset:x"}, status="queued")
    job = Job(id, "2026-11-21T00:00:00+00:00", "queued", None, (step,))
    return NewJob(job, owner="ann", batch=batch, request=request)


def done(job: Job) -> Job:
    job = replace(begin(job, "w"), steps=tuple(replace(step, status="completed") for step in job.steps))
    return complete(job)


def failed(job: Job) -> Job:
    return fail(begin(job, "w"), Failure("internal", "It broke.", "internal", 1, False))


def told(database: Database) -> list[dict[str, Any]]:
    table = tables.webhook_deliveries
    with database.read() as connection:
        rows = connection.execute(sa.select(table).order_by(table.c.created_at, table.c.id)).mappings()
        return [dict(row) for row in rows]


def finish(store: DatabaseStore, webhooks: Webhooks, id: str, change: Any = done) -> JobRow:
    return store.change(id, change, also=webhooks.enqueue_for_job)


def test_webhooks_are_made_listed_changed_and_deleted(webhooks: Webhooks) -> None:
    made = webhooks.create("ann", HOOK, ["job.failed", "job.failed"])
    assert made.events == ("job.failed",)
    assert made.secret.startswith("whsec_")
    assert made.secret not in repr(made)
    assert webhooks.get(made.id, "ann") == made
    other = webhooks.create("ann", f"{HOOK}/2", enabled=False)
    assert webhooks.all("ann") == [made, other]
    assert webhooks.all("bob") == []
    changed = webhooks.change(made.id, "ann", events=[], enabled=False)
    assert (changed.url, changed.events, changed.enabled) == (HOOK, (), False)
    assert webhooks.change(made.id, "ann", url=f"{HOOK}/3").url == f"{HOOK}/3"
    assert webhooks.change(made.id, "ann") == webhooks.get(made.id, "ann")
    webhooks.delete(made.id, "ann")
    assert webhooks.all("ann") == [other]


def test_what_is_somebody_elses_does_not_exist(webhooks: Webhooks) -> None:
    id = webhooks.create("ann", HOOK).id
    for call in (webhooks.get, webhooks.delete, webhooks.rotate, webhooks.test, webhooks.change):
        with pytest.raises(NotFound):
            call(id, "bob")
    assert webhooks.get(id, "ann").enabled


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/hook",
        "ftp://example.org/",
        "https://user:pass@example.org/",
        "https://example.org:22/",
        "https://example.org:x/",
        "https:///nothing",
        "https://example.org/" + "x" * 2048,
    ],
)
def test_addresses_that_must_not_be_called_are_refused(webhooks: Webhooks, url: str) -> None:
    with pytest.raises(UnsafeInput):
        webhooks.create("ann", url)


def test_ports_of_programs_may_be_called(webhooks: Webhooks) -> None:
    assert webhooks.create("ann", "https://example.org:8443/hook").enabled


def test_events_are_known_and_webhooks_few(webhooks: Webhooks) -> None:
    with pytest.raises(OptionError, match=r"job\.exploded"):
        webhooks.create("ann", HOOK, ["job.exploded"])
    for _ in range(MOST):
        webhooks.create("ann", HOOK)
    with pytest.raises(OptionError, match="most"):
        webhooks.create("ann", HOOK)
    assert webhooks.create("bob", HOOK).owner == "bob"


def test_a_job_that_ends_is_told_to_who_wants_to_know(
    webhooks: Webhooks, store: DatabaseStore, database: Database
) -> None:
    everything = webhooks.create("ann", HOOK)
    failures = webhooks.create("ann", HOOK, ["job.failed"])
    webhooks.create("ann", HOOK, enabled=False)
    webhooks.create("bob", HOOK)
    store.insert([new_job("one", metadata={"mine": 1}), new_job("two")])
    finish(store, webhooks, "one")
    first = told(database)
    assert [(row["webhook"], row["type"], row["job"]) for row in first] == [
        (everything.id, "job.completed", "one")
    ]
    payload = first[0]["payload"]
    assert payload["type"] == "job.completed"
    assert payload["timestamp"].endswith("Z")
    assert payload["data"]["id"] == "one"
    assert payload["data"]["status"] == "completed"
    assert payload["data"]["metadata"] == {"mine": 1}
    assert payload["data"]["links"]["self"] == "/api/v1/jobs/one"
    finish(store, webhooks, "two", failed)
    assert {row["webhook"] for row in told(database) if row["type"] == "job.failed"} == {
        everything.id,
        failures.id,
    }


def test_links_are_whole_where_the_public_address_is_known(
    database: Database, settings: ServiceSettings, store: DatabaseStore
) -> None:
    webhooks = Webhooks(database, settings.model_copy(update={"public_url": "https://faces.example/x/"}))
    webhooks.create("ann", HOOK)
    store.insert([new_job("one")])
    finish(store, webhooks, "one")
    assert told(database)[0]["payload"]["data"]["links"]["self"] == "https://faces.example/x/api/v1/jobs/one"


def test_nothing_is_told_of_what_did_not_happen(
    webhooks: Webhooks, store: DatabaseStore, database: Database
) -> None:
    webhooks.create("ann", HOOK)
    store.insert([new_job("one")])

    def broken(connection: Any, row: JobRow) -> None:
        webhooks.enqueue_for_job(connection, row)
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        store.change("one", done, also=broken)
    assert told(database) == []


def test_an_address_that_came_with_the_job(
    webhooks: Webhooks, store: DatabaseStore, database: Database
) -> None:
    store.insert(
        [
            new_job("one", webhook={"url": HOOK, "events": None}),
            new_job("two", webhook={"url": HOOK, "events": ["job.failed"]}),
        ]
    )
    finish(store, webhooks, "one")
    finish(store, webhooks, "two")
    assert [(row["job"], row["url"], row["webhook"]) for row in told(database)] == [("one", HOOK, None)]


def test_a_batch_is_complete_once_although_its_jobs_end_at_once(
    webhooks: Webhooks, store: DatabaseStore, database: Database
) -> None:
    webhooks.create("ann", HOOK, ["batch.completed"])
    with database.begin() as connection:
        connection.execute(
            sa.insert(tables.batches).values(id="b", owner="ann", request={}, total=4, created_at=1)
        )
    store.insert([new_job(f"j{n}", "b") for n in range(4)])
    gate = threading.Barrier(4)
    failures: list[BaseException] = []

    def end(number: int) -> None:
        try:
            gate.wait()
            finish(store, webhooks, f"j{number}", failed if number else done)
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=end, args=[n]) for n in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert failures == []
    (row,) = told(database)
    assert row["type"] == "batch.completed"
    assert row["payload"]["data"] == {
        "id": "b",
        "total": 4,
        "counts": {"completed": 1, "failed": 3},
        "links": {"self": "/api/v1/batches/b"},
    }


def test_what_is_on_its_way_to_a_deleted_webhook_is_given_up(
    webhooks: Webhooks, database: Database, settings: ServiceSettings
) -> None:
    id = webhooks.create("ann", HOOK).id
    webhooks.test(id, "ann")
    webhooks.delete(id, "ann")
    assert [row["status"] for row in told(database)] == ["failed"]
    assert Deliveries(database, settings).deliver_due() == 0
