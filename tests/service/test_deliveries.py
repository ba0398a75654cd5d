from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest
import sqlalchemy as sa

from mien.db import Database, tables
from mien.errors import NotFound, OptionError
from mien.service.deliveries import RETRIES, Deliveries, Delivery
from mien.service.settings import ServiceSettings
from mien.service.signing import headers, new_secret
from mien.service.webhooks import Webhook, Webhooks
from tests.service.receiver import Receiver, receiving


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as receiver:
        yield receiver


@pytest.fixture
def open_settings(settings: ServiceSettings) -> ServiceSettings:
    """Webhooks may lead to this machine."""
    return settings.model_copy(update={"webhook_allow_http": True, "webhook_allow": ("127.0.0.0/8",)})


@pytest.fixture
def webhooks(database: Database, open_settings: ServiceSettings) -> Webhooks:
    return Webhooks(database, open_settings)


@pytest.fixture
def deliveries(database: Database, open_settings: ServiceSettings) -> Deliveries:
    return Deliveries(database, open_settings)


@pytest.fixture
def webhook(webhooks: Webhooks, receiver: Receiver) -> Webhook:
    return webhooks.create("ann", receiver.url)


def due(database: Database) -> None:
    with database.begin() as connection:
        connection.execute(
            sa.update(tables.webhook_deliveries)
            .where(tables.webhook_deliveries.c.status == "waiting")
            .values(next_at=1, lease_until=None)
        )


def check(call: tuple[dict[str, str], bytes], *secrets: str) -> None:
    lines, body = call
    expected = headers(lines["webhook-id"], int(lines["webhook-timestamp"]), body, secrets)
    assert lines.get("webhook-signature") == expected.get("webhook-signature")


def test_an_event_arrives_signed(
    webhooks: Webhooks, deliveries: Deliveries, webhook: Webhook, receiver: Receiver
) -> None:
    id = webhooks.test(webhook.id, "ann")
    assert deliveries.deliver_due() == 1
    lines, body = receiver.calls[0]
    assert lines["webhook-id"] == id
    assert abs(int(lines["webhook-timestamp"]) - time.time()) < 60
    assert lines["content-type"] == "application/json"
    assert lines["user-agent"].startswith("mien/")
    assert json.loads(body)["type"] == "test"
    check(receiver.calls[0], webhook.secret)
    found = deliveries.get(id, "ann")
    assert (found.status, found.next_at) == ("delivered", None)
    assert (found.attempts[0].status_code, found.attempts[0].error) == (200, None)
    assert deliveries.deliver_due() == 0


def test_after_a_rotation_both_secrets_sign_for_a_day(
    webhooks: Webhooks, deliveries: Deliveries, webhook: Webhook, receiver: Receiver, database: Database
) -> None:
    new = webhooks.rotate(webhook.id, "ann")
    assert new.secret != webhook.secret
    webhooks.test(webhook.id, "ann")
    deliveries.deliver_due()
    check(receiver.calls[0], new.secret, webhook.secret)
    with database.begin() as connection:
        connection.execute(sa.update(tables.webhooks).values(old_secret_until=1))
    webhooks.test(webhook.id, "ann")
    deliveries.deliver_due()
    check(receiver.calls[1], new.secret)


def test_a_call_that_fails_is_repeated_for_hours_and_then_given_up(
    webhooks: Webhooks, deliveries: Deliveries, webhook: Webhook, receiver: Receiver, database: Database
) -> None:
    receiver.statuses = [500] * 50
    id = webhooks.test(webhook.id, "ann")
    for number, wait in enumerate(RETRIES, 1):
        before = time.time()
        assert deliveries.deliver_due() == 1
        found = deliveries.get(id, "ann")
        assert (found.status, len(found.attempts)) == ("waiting", number)
        assert found.next_at is not None
        assert wait * 0.79 < found.next_at - before < wait * 1.21 + 60
        assert deliveries.deliver_due() == 0
        due(database)
    deliveries.deliver_due()
    found = deliveries.get(id, "ann")
    assert (found.status, len(found.attempts)) == ("failed", len(RETRIES) + 1)
    assert {lines["webhook-id"] for lines, _ in receiver.calls} == {id}
    assert found.attempts[-1].error == "The address answered with status 500."

    receiver.statuses = []
    assert deliveries.redeliver(id, "ann").status == "waiting"
    deliveries.deliver_due()
    assert deliveries.get(id, "ann").status == "delivered"


def test_an_address_that_is_gone_is_not_called_again(
    webhooks: Webhooks, deliveries: Deliveries, webhook: Webhook, receiver: Receiver
) -> None:
    receiver.statuses = [410]
    id = webhooks.test(webhook.id, "ann")
    other = webhooks.test(webhook.id, "ann")
    deliveries.deliver_due(1)
    assert not webhooks.get(webhook.id, "ann").enabled
    assert deliveries.deliver_due() == 0
    assert {deliveries.get(id, "ann").status, deliveries.get(other, "ann").status} == {"failed"}
    assert len(receiver.calls) == 1


def test_redirects_are_not_followed(
    webhooks: Webhooks, deliveries: Deliveries, webhook: Webhook, receiver: Receiver
) -> None:
    receiver.statuses = [302]
    id = webhooks.test(webhook.id, "ann")
    deliveries.deliver_due()
    assert "redirects are not followed" in str(deliveries.get(id, "ann").attempts[0].error)
    assert len(receiver.calls) == 1


def test_addresses_inside_the_network_are_not_called(
    webhooks: Webhooks, webhook: Webhook, receiver: Receiver, database: Database, settings: ServiceSettings
) -> None:
    """What was allowed when the webhook was made, or what its name leads to now, is checked at each call."""
    closed = settings.model_copy(update={"webhook_allow_http": True})
    id = webhooks.test(webhook.id, "ann")
    deliveries = Deliveries(database, closed)
    deliveries.deliver_due()
    attempt = deliveries.get(id, "ann").attempts[0]
    assert attempt.status_code is None
    assert attempt.error
    assert receiver.calls == []
    rebound = webhooks.create("ann", "http://example.org:8080/hook")
    id = webhooks.test(rebound.id, "ann")
    deliveries = Deliveries(database, closed, lambda host, port: ["169.254.169.254"])
    deliveries.deliver_due()
    assert deliveries.get(id, "ann").attempts[0].error


def test_a_receiver_that_is_away_is_called_again(
    webhooks: Webhooks, deliveries: Deliveries, database: Database
) -> None:
    with receiving() as receiver:
        webhook = webhooks.create("ann", receiver.url)
    id = webhooks.test(webhook.id, "ann")
    deliveries.deliver_due()
    found = deliveries.get(id, "ann")
    assert (found.status, found.attempts[0].status_code) == ("waiting", None)
    assert "no connection" in str(found.attempts[0].error)


def test_a_webhook_that_moved_is_called_where_it_is_now(
    webhooks: Webhooks, deliveries: Deliveries, receiver: Receiver
) -> None:
    webhook = webhooks.create("ann", "http://127.0.0.1:9999/old")
    webhooks.test(webhook.id, "ann")
    webhooks.change(webhook.id, "ann", url=receiver.url)
    deliveries.deliver_due()
    assert len(receiver.calls) == 1


def insert_own(database: Database, url: str) -> None:
    with database.begin() as connection:
        connection.execute(
            sa.insert(tables.webhook_deliveries).values(
                id="msg_own",
                owner="ann",
                url=url,
                type="job.completed",
                payload={},
                status="waiting",
                attempts=[],
                next_at=1,
                created_at=1,
            )
        )


def test_an_address_of_a_job_is_signed_with_the_secret_of_the_service(
    database: Database, open_settings: ServiceSettings, receiver: Receiver
) -> None:
    insert_own(database, receiver.url)
    Deliveries(database, open_settings).deliver_due()
    check(receiver.calls[0])
    secret = new_secret()
    known = ServiceSettings(**{**open_settings.model_dump(), "webhook_secret": secret})
    deliveries = Deliveries(database, known)
    deliveries.redeliver("msg_own", "ann")
    deliveries.deliver_due()
    check(receiver.calls[1], secret)
    assert secret not in repr(known)


def test_a_secret_that_is_none_is_refused_at_the_start(database: Database, settings: ServiceSettings) -> None:
    with pytest.raises(OptionError):
        Webhooks(database, ServiceSettings(**{**settings.model_dump(), "webhook_secret": "x"}))


def test_many_processes_call_once(
    webhooks: Webhooks,
    webhook: Webhook,
    receiver: Receiver,
    database: Database,
    open_settings: ServiceSettings,
) -> None:
    ids = {webhooks.test(webhook.id, "ann") for _ in range(20)}
    made: list[int] = []
    threads = [
        threading.Thread(target=lambda: made.append(Deliveries(database, open_settings).deliver_due(7)))
        for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(made) == 4
    Deliveries(database, open_settings).deliver_due()
    assert sorted(lines["webhook-id"] for lines, _ in receiver.calls) == sorted(ids)


def test_the_delivery_of_a_dead_process_is_made_by_another(
    webhooks: Webhooks, deliveries: Deliveries, webhook: Webhook, receiver: Receiver, database: Database
) -> None:
    id = webhooks.test(webhook.id, "ann")
    lent = deliveries._claim(5)
    assert [item.delivery.id for item in lent] == [id]
    assert deliveries.deliver_due() == 0
    due(database)
    assert deliveries.deliver_due() == 1
    deliveries._record(lent[0], None, "failed", None)
    assert deliveries.get(id, "ann").status == "delivered"


def test_one_address_that_hangs_holds_up_no_other(
    webhooks: Webhooks, deliveries: Deliveries, webhook: Webhook, receiver: Receiver
) -> None:
    stop = threading.Event()
    errors: list[Exception] = []
    thread = threading.Thread(target=deliveries.run, args=[stop, errors.append])
    with receiving() as slow:
        slow.hold = threading.Event()
        hanging = webhooks.create("ann", slow.url)
        for _ in range(3):
            webhooks.test(hanging.id, "ann")
        fast = webhooks.test(webhook.id, "ann")
        thread.start()
        try:
            wait_for(deliveries, fast)
        finally:
            slow.hold.set()
            stop.set()
            thread.join(60)
    assert not thread.is_alive()
    assert errors == []
    assert all(item.status == "delivered" for item in deliveries.page("ann")[0])


def wait_for(deliveries: Deliveries, id: str) -> None:
    end = time.monotonic() + 60
    while deliveries.get(id, "ann").status != "delivered":
        assert time.monotonic() < end
        time.sleep(0.02)


def test_the_log_goes_from_the_newest_to_the_oldest(
    webhooks: Webhooks, deliveries: Deliveries, webhook: Webhook, receiver: Receiver
) -> None:
    ids = [webhooks.test(webhook.id, "ann") for _ in range(5)]
    other = webhooks.create("ann", receiver.url)
    webhooks.test(other.id, "ann")
    seen: list[Delivery] = []
    cursor: Any = None
    for _ in range(3):
        page, cursor = deliveries.page("ann", webhook.id, cursor, 2)
        seen += page
    assert [item.id for item in seen] == ids[::-1]
    assert cursor is None
    for wrong in ("x", ":", "x:dlv", "1:\0", "1:a b"):
        with pytest.raises(OptionError, match="cursor"):
            deliveries.page("ann", webhook.id, wrong)
    assert len(deliveries.page("ann")[0]) == 6
    assert deliveries.page("bob") == ([], None)
    for call in (deliveries.get, deliveries.redeliver):
        with pytest.raises(NotFound):
            call(ids[0], "bob")
