"""Webhooks: addresses that are called when something has happened to somebody's jobs.

Events are written down in the transaction in which they happen, one row for each address, so that none is lost and
none is told that did not happen. ``Deliveries`` calls the addresses.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final, Literal, TypeAlias, get_args

from mien.db import Database
from mien.db.tables import batches, jobs, webhook_deliveries, webhooks
from mien.errors import NotFound, OptionError, UnsafeInput
from mien.jobs.rows import ENDED, JobRow
from mien.service.settings import ServiceSettings
from mien.service.signing import check_secret, new_secret
from mien.service.views import PREFIX, iso, job_summary

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, RowMapping

    from mien.fetch import FetchSettings

EventType: TypeAlias = Literal[
    "job.running", "job.completed", "job.failed", "job.canceled", "batch.completed"
]
TYPES: Final[tuple[str, ...]] = get_args(EventType)
TEST: Final = "test"
"""The type of the event with which an address is tried out; every webhook gets it."""

MOST: Final = 20
"""Webhooks of one owner."""
GRACE: Final = 24 * 3600.0
"""Seconds for which the secret before the last change signs as well."""
LONGEST: Final = 2048
"""Characters of an address."""


@dataclass(frozen=True, slots=True)
class Webhook:
    """An address and the events that it is told of (all when there are none)."""

    id: str
    owner: str
    url: str
    events: tuple[str, ...]
    enabled: bool
    created_at: float
    secret: str = field(repr=False)

    def wants(self, type: str) -> bool:
        """Whether the address is to be told of such an event."""
        return self.enabled and (not self.events or type in self.events)


@dataclass(frozen=True, slots=True)
class _Target:
    """Where an event goes."""

    url: str
    webhook: str | None = None


class Webhooks:
    """The webhooks of a database. Methods that take ``owner`` raise NotFound for those of others."""

    def __init__(self, database: Database, settings: ServiceSettings) -> None:
        self._database = database
        self._settings = settings
        if settings.webhook_secret is not None:
            check_secret(settings.webhook_secret.get_secret_value())

    def create(self, owner: str, url: str, events: Iterable[str] = (), enabled: bool = True) -> Webhook:
        """Add an address; its secret is in what is returned. Raises UnsafeInput, OptionError."""
        import sqlalchemy as sa

        self.check_url(url)
        made = Webhook(
            f"wh_{secrets.token_hex(12)}", owner, url, checked(events), enabled, time.time(), new_secret()
        )
        with self._database.begin() as connection:
            count = sa.select(sa.func.count()).select_from(webhooks).where(webhooks.c.owner == owner)
            if connection.execute(count).scalar_one() >= MOST:
                raise OptionError(f"There are {MOST} webhooks already, which is the most; delete one first.")
            values = {name: getattr(made, name) for name in Webhook.__slots__}
            connection.execute(sa.insert(webhooks).values({**values, "events": list(made.events)}))
        return made

    def all(self, owner: str) -> list[Webhook]:
        """The webhooks of an owner, the oldest first."""
        import sqlalchemy as sa

        with self._database.read() as connection:
            mine = sa.select(webhooks).where(webhooks.c.owner == owner)
            found = connection.execute(mine.order_by(webhooks.c.created_at, webhooks.c.id)).mappings()
            return [_webhook(row) for row in found]

    def get(self, id: str, owner: str) -> Webhook:
        """One webhook."""
        import sqlalchemy as sa

        with self._database.read() as connection:
            row = connection.execute(sa.select(webhooks).where(_is(id, owner))).mappings().first()
        if row is None:
            raise _missing(id)
        return _webhook(row)

    def change(
        self,
        id: str,
        owner: str,
        url: str | None = None,
        events: Iterable[str] | None = None,
        enabled: bool | None = None,
    ) -> Webhook:
        """Change what is not None. Raises UnsafeInput, OptionError."""
        if url is not None:
            self.check_url(url)
        wanted = {
            "url": url,
            "events": None if events is None else list(checked(events)),
            "enabled": enabled,
        }
        return self._update(id, owner, {name: value for name, value in wanted.items() if value is not None})

    def rotate(self, id: str, owner: str) -> Webhook:
        """Give a webhook a new secret; the old one signs as well for another day, so that receivers can change over."""
        old = self.get(id, owner).secret
        values = {"secret": new_secret(), "old_secret": old, "old_secret_until": time.time() + GRACE}
        return self._update(id, owner, values)

    def delete(self, id: str, owner: str) -> None:
        """Remove a webhook; what was still on its way to it is given up."""
        import sqlalchemy as sa

        waiting = (webhook_deliveries.c.webhook == id, webhook_deliveries.c.status == "waiting")
        with self._database.begin() as connection:
            if connection.execute(sa.delete(webhooks).where(_is(id, owner))).rowcount == 0:
                raise _missing(id)
            given_up = sa.update(webhook_deliveries).where(*waiting)
            connection.execute(given_up.values(status="failed", next_at=None))

    def test(self, id: str, owner: str) -> str:
        """Tell one webhook of an event of the type test, whatever its filter; gives the id of the delivery."""
        webhook = self.get(id, owner)
        payload = _payload(TEST, {"webhook": id, "message": "This is a test; nothing has happened."})
        with self._database.begin() as connection:
            return _enqueue(connection, [_Target(webhook.url, id)], owner, None, TEST, payload)[0]

    def enqueue_for_job(self, connection: Connection, row: JobRow) -> None:
        """Write down, in the transaction that changed a job, whom to tell of it. Run it after the change."""
        type = f"job.{row.status}"
        if type not in TYPES:
            return
        targets = self._targets(connection, row)
        told = [target for target, events in targets if not events or type in events]
        if told:
            _enqueue(connection, told, row.owner, row.id, type, _payload(type, self._job(row)))
        batch = [target for target, events in targets if not events or "batch.completed" in events]
        if batch and row.batch and row.has_ended:
            self._enqueue_for_batch(connection, row, batch)

    def check_url(self, url: str) -> None:
        """Raise UnsafeInput for an address that must not be called; names are looked up when it is called."""
        from mien.fetch.urls import read_url, refuse_private

        if len(url) > LONGEST:
            raise UnsafeInput(f"The address of a webhook has at most {LONGEST} characters.")
        rules = call_rules(self._settings, url)
        refuse_private(read_url(url, rules), rules)

    def _targets(self, connection: Connection, row: JobRow) -> list[tuple[_Target, Sequence[str]]]:
        """All addresses for the owner of a job or for the job itself, each with the events that it wants."""
        import sqlalchemy as sa

        mine = sa.select(webhooks).where(webhooks.c.owner == row.owner, webhooks.c.enabled)
        found = map(_webhook, connection.execute(mine).mappings())
        targets: list[tuple[_Target, Sequence[str]]] = [
            (_Target(webhook.url, webhook.id), webhook.events) for webhook in found
        ]
        own: Mapping[str, Any] | None = row.request.get("webhook")
        if own and own.get("url"):
            targets.append((_Target(str(own["url"])), tuple(own.get("events") or ())))
        return targets

    def _enqueue_for_batch(self, connection: Connection, row: JobRow, targets: list[_Target]) -> None:
        import sqlalchemy as sa

        # Jobs of a batch that end at once go through here one by one, so that the last one sees all others.
        batch = connection.execute(
            sa.select(batches).where(batches.c.id == row.batch).with_for_update()
        ).first()
        counted = sa.select(jobs.c.status, sa.func.count()).where(jobs.c.batch == row.batch)
        rows = connection.execute(counted.group_by(jobs.c.status))
        counts: dict[str, int] = {row.status: row[1] for row in rows}
        if batch is None or any(status not in ENDED for status in counts):
            return
        data = {
            "id": row.batch,
            "total": batch.total,
            "counts": counts,
            "links": {"self": f"{self._base()}{PREFIX}/batches/{row.batch}"},
        }
        type = "batch.completed"
        _enqueue(connection, targets, row.owner, None, type, _payload(type, data))

    def _job(self, row: JobRow) -> dict[str, Any]:
        base = self._base()
        view = job_summary(row, lambda record, own: f"{base}{own}")
        links = {name: f"{base}{address}" for name, address in view["links"].items()}
        return {**view, "links": links, "metadata": dict(row.request.get("metadata") or {})}

    def _base(self) -> str:
        return (self._settings.public_url or "").rstrip("/") or self._settings.root_path

    def _update(self, id: str, owner: str, values: dict[str, Any]) -> Webhook:
        import sqlalchemy as sa

        with self._database.begin() as connection:
            if values:
                connection.execute(sa.update(webhooks).where(_is(id, owner)).values(**values))
            row = connection.execute(sa.select(webhooks).where(_is(id, owner))).mappings().first()
        if row is None:
            raise _missing(id)
        return _webhook(row)


def call_rules(settings: ServiceSettings, url: str) -> FetchSettings:
    """The rules for calling an address: public ones, and the networks of ``webhook_allow``; any port of a program.

    Ports below 1024 other than those of the web belong to other protocols, which must not be spoken to.
    """
    from urllib.parse import urlsplit

    from mien.fetch import FetchSettings

    try:
        port = urlsplit(url).port
    except ValueError:
        port = None
    ports = (443, 80) if port is None or port < 1024 else (port,)
    return FetchSettings.model_validate(
        {
            **FetchSettings.from_environment().model_dump(),
            "schemes": ("https", "http") if settings.webhook_allow_http else ("https",),
            "allowed_networks": settings.webhook_allow,
            "ports": ports,
            "connect_seconds": 5.0,
            "idle_seconds": 10.0,
            "total_seconds": 20.0,
        }
    )


def checked(events: Iterable[str]) -> tuple[str, ...]:
    """Events without repetitions; raises OptionError for an unknown one."""
    found = tuple(dict.fromkeys(events))
    for event in found:
        if event not in TYPES:
            raise OptionError(f"{event!r} is no event of webhooks; there are {', '.join(TYPES)}.")
    return found


def _enqueue(
    connection: Connection,
    targets: Iterable[_Target],
    owner: str,
    job: str | None,
    type: str,
    payload: dict[str, Any],
) -> list[str]:
    import sqlalchemy as sa

    moment = time.time()
    rows: list[dict[str, Any]] = [
        {
            "id": f"msg_{secrets.token_hex(16)}",
            "webhook": target.webhook,
            "owner": owner,
            "job": job,
            "url": target.url,
            "secret": None,
            "type": type,
            "payload": payload,
            "status": "waiting",
            "attempts": [],
            "next_at": moment,
            "created_at": moment,
        }
        for target in targets
    ]
    connection.execute(sa.insert(webhook_deliveries), rows)
    return [str(row["id"]) for row in rows]


def _payload(type: str, data: Mapping[str, Any]) -> dict[str, Any]:
    return {"type": type, "timestamp": iso(datetime.now(UTC).timestamp()), "data": dict(data)}


def _webhook(row: RowMapping) -> Webhook:
    values = {name: row[name] for name in Webhook.__slots__}
    return Webhook(**{**values, "events": tuple(row["events"])})


def _is(id: str, owner: str) -> ColumnElement[bool]:
    import sqlalchemy as sa

    return sa.and_(webhooks.c.id == id, webhooks.c.owner == owner)


def _missing(id: str) -> NotFound:
    return NotFound(f"There is no webhook {id[:64]!r}, or it is not yours.")
