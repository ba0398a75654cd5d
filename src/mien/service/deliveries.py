"""Calls the addresses of webhooks: signed, repeated for a day and a half, and written down.

Any number of processes may do this at once: a delivery is lent to one of them for as long as a call may take. When
that one dies, another calls again, so an event may arrive twice; its ``webhook-id`` is the same then.
"""

from __future__ import annotations

import json
import random
import re
import threading
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, Final, Literal

from mien.db import Database
from mien.db.tables import webhook_deliveries, webhooks
from mien.errors import MienError, NotFound, OptionError
from mien.service.settings import ServiceSettings
from mien.service.signing import headers
from mien.service.webhooks import call_rules

if TYPE_CHECKING:
    import ssl

    from sqlalchemy import RowMapping

    from mien.fetch.network import Resolve

RETRIES: Final = (5.0, 30.0, 120.0, 600.0, 3600.0, 3 * 3600.0, 8 * 3600.0, 24 * 3600.0)
"""Seconds between a call that failed and the next one."""
LEASE: Final = 60.0
"""Seconds for which a delivery is lent; more than a call can take."""
AT_ONCE: Final = 8
"""Calls of one process that are under way."""
IDLE: Final = 1.0
"""Seconds between two looks for something to deliver."""

_ID: Final = re.compile(r"[A-Za-z0-9_]{1,80}")
_GONE: Final = 410
_GONE_SAID: Final = "The address answered with status 410, so its webhook was switched off."

Status = Literal["waiting", "delivered", "failed"]


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call. ``error`` is a sentence, None when it went well; bodies of answers are not kept."""

    at: float
    status_code: int | None
    error: str | None
    milliseconds: float


@dataclass(frozen=True, slots=True)
class Delivery:
    """One event on its way to one address. Moments are seconds since 1970."""

    id: str
    webhook: str | None
    owner: str
    job: str | None
    url: str
    type: str
    status: Status
    next_at: float | None
    created_at: float
    attempts: tuple[Attempt, ...] = ()
    payload: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True, slots=True)
class _Lent:
    """A delivery that this process is to make."""

    delivery: Delivery
    until: float
    keys: tuple[str, ...] = field(repr=False)
    dead: bool = False
    """Its webhook was switched off or deleted since."""


class Deliveries:
    """Makes the deliveries that are due. Safe to use from many threads and processes."""

    def __init__(self, database: Database, settings: ServiceSettings, resolve: Resolve | None = None) -> None:
        """``resolve`` looks names up in place of the system; its answers are checked as well."""
        self._database = database
        self._settings = settings
        self._resolve = resolve
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def deliver_due(self, limit: int = 100) -> int:
        """Make all deliveries that are due now, some at once; gives how many calls were made."""
        lent = self._claim(limit)
        with ThreadPoolExecutor(AT_ONCE, "mien-webhooks") as pool:
            return sum(pool.map(self._deliver, lent))

    def start(self, on_error: Callable[[Exception], None] = lambda error: None) -> None:
        """Deliver in a thread until ``stop``; see ``run``."""
        self._stop.clear()
        self._thread = threading.Thread(
            target=self.run, args=[self._stop, on_error], name="mien-deliveries", daemon=True
        )
        self._thread.start()

    def stop(self) -> None:
        """Begin no more calls, and wait for those that are under way (at most for the time of one)."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join()
            self._thread = None

    def run(self, stop: threading.Event, on_error: Callable[[Exception], None] = lambda error: None) -> None:
        """Deliver until ``stop`` is set; calls that are under way then are finished.

        An address that does not answer takes up one of several places and holds up no other. ``on_error`` is told
        what kept it from the database.
        """
        places = threading.Semaphore(AT_ONCE)

        def deliver(lent: _Lent) -> None:
            try:
                self._deliver(lent)
            except Exception as error:  # the border of a thread: the delivery is lent again later
                on_error(error)
            finally:
                places.release()

        with ThreadPoolExecutor(AT_ONCE, "mien-webhooks") as pool:
            while not stop.is_set():
                places.acquire()
                try:
                    lent = self._claim(1)
                except MienError as error:
                    on_error(error)
                    lent = []
                if lent:
                    pool.submit(deliver, lent[0])
                else:
                    places.release()
                    stop.wait(IDLE)

    def page(
        self, owner: str, webhook: str | None = None, before: str | None = None, limit: int = 50
    ) -> tuple[list[Delivery], str | None]:
        """The newest deliveries first, and the cursor of the next page (None at the end). Raises OptionError."""
        import sqlalchemy as sa

        table = webhook_deliveries
        query = sa.select(table).where(table.c.owner == owner)
        if webhook is not None:
            query = query.where(table.c.webhook == webhook)
        if before is not None:
            query = query.where(sa.tuple_(table.c.created_at, table.c.id) < _cursor(before))
        query = query.order_by(table.c.created_at.desc(), table.c.id.desc()).limit(limit + 1)
        with self._database.read() as connection:
            found = [_delivery(row) for row in connection.execute(query).mappings()]
        last = found[limit - 1] if len(found) > limit else None
        return found[:limit], None if last is None else f"{last.created_at!r}:{last.id}"

    def get(self, id: str, owner: str) -> Delivery:
        """One delivery. Raises NotFound."""
        import sqlalchemy as sa

        mine = (webhook_deliveries.c.id == id, webhook_deliveries.c.owner == owner)
        with self._database.read() as connection:
            row = connection.execute(sa.select(webhook_deliveries).where(*mine)).mappings().first()
        if row is None:
            raise NotFound(f"There is no delivery {id[:64]!r}, or it is not yours.")
        return _delivery(row)

    def redeliver(self, id: str, owner: str) -> Delivery:
        """Call again now, whatever came of it before; the id stays the same. Raises NotFound."""
        import sqlalchemy as sa

        self.get(id, owner)
        again = sa.update(webhook_deliveries).where(webhook_deliveries.c.id == id)
        with self._database.begin() as connection:
            connection.execute(again.values(status="waiting", next_at=time.time(), lease_until=None))
        return self.get(id, owner)

    def _claim(self, limit: int) -> list[_Lent]:
        """Borrow deliveries that are due, the longest overdue first."""
        import sqlalchemy as sa

        table, moment = webhook_deliveries, time.time()
        free = sa.or_(table.c.lease_until.is_(None), table.c.lease_until < moment)
        due = (
            sa.select(table)
            .where(table.c.status == "waiting", table.c.next_at <= moment, free)
            .order_by(table.c.next_at)
            .limit(limit)
            .with_for_update(skip_locked=True)
        )
        with self._database.begin() as connection:
            found = connection.execute(due).mappings().all()
            if not found:
                return []
            until = moment + LEASE
            ids = [row["id"] for row in found]
            connection.execute(sa.update(table).where(table.c.id.in_(ids)).values(lease_until=until))
            wanted = {row["webhook"] for row in found if row["webhook"]}
            receivers = connection.execute(sa.select(webhooks).where(webhooks.c.id.in_(wanted))).mappings()
            by_id = {row["id"]: row for row in receivers}
        return [self._lent(_delivery(row), until, by_id.get(row["webhook"] or "")) for row in found]

    def _lent(self, delivery: Delivery, until: float, webhook: RowMapping | None) -> _Lent:
        if delivery.webhook is None:
            secret = self._settings.webhook_secret
            return _Lent(delivery, until, () if secret is None else (secret.get_secret_value(),))
        if webhook is None or not webhook["enabled"]:
            return _Lent(delivery, until, (), dead=True)
        # It may lead elsewhere since.
        delivery = replace(delivery, url=webhook["url"])
        old = webhook["old_secret"] if (webhook["old_secret_until"] or 0) > time.time() else None
        return _Lent(delivery, until, (webhook["secret"],) if old is None else (webhook["secret"], old))

    def _deliver(self, lent: _Lent) -> bool:
        """Make one call and write down what came of it; False when its webhook is switched off."""
        if lent.dead:
            self._record(lent, None, "failed", None)
            return False
        attempt = self._call(lent)
        failures = len(lent.delivery.attempts)
        if attempt.error is None:
            self._record(lent, attempt, "delivered", None)
        elif attempt.status_code == _GONE or failures >= len(RETRIES):
            self._record(lent, attempt, "failed", None)
        else:
            # Spread, so that receivers which were away are not called by everybody at the same moment.
            wait = RETRIES[failures] * random.uniform(0.8, 1.2)
            self._record(lent, attempt, "waiting", time.time() + wait)
        return True

    def _call(self, lent: _Lent) -> Attempt:
        moment, begun = time.time(), time.monotonic()
        try:
            status: int | None = self._post(lent, int(moment))
            error = None if status is not None and 200 <= status < 300 else _refusal(status)
        except MienError as failure:
            status, error = None, str(failure)[:500]
        return Attempt(moment, status, error, round((time.monotonic() - begun) * 1000, 1))

    def _post(self, lent: _Lent, moment: int) -> int:
        """Send the call; redirects are not followed, and the answer's body is not read."""
        from mien.fetch.exchange import Exchange
        from mien.fetch.network import system_resolve
        from mien.fetch.urls import read_url

        delivery = lent.delivery
        rules = call_rules(self._settings, delivery.url)
        target = read_url(delivery.url, rules)
        body = json.dumps(delivery.payload, separators=(",", ":"), ensure_ascii=False).encode(
            "utf-8", "replace"
        )
        lines = {"Content-Type": "application/json", **headers(delivery.id, moment, body, lent.keys)}
        with (
            Exchange(rules, self._context, self._resolve or system_resolve) as exchange,
            exchange.request(target, "POST", lines, body) as answer,
        ):
            return answer.status

    @cached_property
    def _context(self) -> ssl.SSLContext:
        """The authorities that are trusted; reading them takes longest."""
        from mien.fetch.exchange import trusted

        return trusted(call_rules(self._settings, ""))

    def _record(self, lent: _Lent, attempt: Attempt | None, status: Status, next_at: float | None) -> None:
        """Write down what came of a call, unless the delivery was lent to somebody else meanwhile."""
        import sqlalchemy as sa

        table, delivery = webhook_deliveries, lent.delivery
        attempts = [*delivery.attempts, *([] if attempt is None else [attempt])]
        values = {
            "attempts": [_as_record(item) for item in attempts],
            "status": status,
            "next_at": next_at,
            "lease_until": None,
        }
        mine = (table.c.id == delivery.id, table.c.lease_until == lent.until)
        with self._database.begin() as connection:
            connection.execute(sa.update(table).where(*mine).values(**values))
            if attempt is not None and attempt.status_code == _GONE and delivery.webhook is not None:
                off = sa.update(webhooks).where(webhooks.c.id == delivery.webhook)
                connection.execute(off.values(enabled=False))


def _refusal(status: int | None) -> str:
    if status == _GONE:
        return _GONE_SAID
    if status is not None and 300 <= status < 400:
        return f"The address answered with status {status}; redirects are not followed."
    return f"The address answered with status {status}."


def _delivery(row: RowMapping) -> Delivery:
    names = ("id", "webhook", "owner", "job", "url", "type", "status", "next_at", "created_at", "payload")
    attempts = tuple(Attempt(**record) for record in row["attempts"])
    return Delivery(**{name: row[name] for name in names}, attempts=attempts)


def _as_record(attempt: Attempt) -> dict[str, Any]:
    return {name: getattr(attempt, name) for name in Attempt.__slots__}


def _cursor(text: str) -> tuple[float, str]:
    moment, colon, id = text.partition(":")
    try:
        if colon and _ID.fullmatch(id):
            return float(moment), id
    except ValueError:
        pass
    raise OptionError("The cursor is none that was given out; leave it away to begin at the newest.")
