"""Requests that may be sent twice and are done once: what an Idempotency-Key means.

A key belongs to its owner and is kept for a day.

=============================================  ===========================================================
the key is new                                 the request is done, its answer is kept
it was used for the same request, now done     the kept answer is given again
it was used for the same request, under way    IdempotencyConflict (409); the same request may be sent again soon
it was used for another request                IdempotencyMismatch (422)
the first request was refused                  the key is free again
the first request broke off                    the same request is done anew, with the same ``seed``
the first process died while it worked         the same, at the latest ``LOCK`` seconds later
=============================================  ===========================================================

Whoever makes something of a request names it after the ``seed`` of its slot. So a process that died after its work
was stored, but before the answer was, leaves something that its successor finds by name instead of making it twice.

A request under way holds a lock of ``LOCK`` seconds, which one thread of the process renews for all of them. So a long
request keeps its key, and that of a process that died is soon free. Moments are the database's, which all share.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mien.db import Database
from mien.errors import DatabaseUnavailable, IdempotencyConflict, IdempotencyMismatch, OptionError

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, RowMapping

KEPT: Final = 24 * 3600.0
"""Seconds for which answers are kept."""
LOCK: Final = 15.0
"""Seconds after which a request whose lock was not renewed counts as given up by a process that died."""
BEAT: Final = 3.0
"""Seconds between two renewals."""
AGAIN: Final = 5.0
"""Seconds after which it is worth asking again for a request that is under way."""
LONGEST: Final = 255
"""Characters of a key."""


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer as it is kept: status, headers and the JSON body."""

    status: int
    body: Any
    headers: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Slot:
    """The right to do a request. ``answer`` is set when it was done before, and is to be given again."""

    seed: str
    """26 characters that are the same for every try of this request; what is made is named after it."""
    answer: Answer | None = None
    holder: str = ""
    """Tells this try from its successors."""


class Idempotency:
    """Keeps answers by owner and key. Shared by any number of threads and processes."""

    def __init__(
        self, database: Database, clock: Callable[[], float] | None = None, beat: float = BEAT
    ) -> None:
        """``clock`` is that of the database when None, ``beat`` the time between two renewals in seconds."""
        self._database = database
        self._clock = clock
        self._beat = beat
        self._lock = threading.Lock()
        self._held: dict[str, tuple[str, str]] = {}
        self._thread: threading.Thread | None = None
        self._closed = threading.Event()

    def begin(self, owner: str, key: str, fingerprint: str) -> Slot:
        """Begin a request. Raises OptionError for a key that is too long, IdempotencyConflict, IdempotencyMismatch."""
        if not 0 < len(key) <= LONGEST:
            raise OptionError(
                f"An Idempotency-Key has 1 to {LONGEST} characters, but this one has {len(key)}."
            )
        slot = None
        while slot is None:
            slot = self._try(owner, key, fingerprint)
        if slot.answer is None:
            self._hold(slot.holder, (owner, key))
        return slot

    def finish(self, owner: str, key: str, slot: Slot, answer: Answer) -> None:
        """Keep the answer, unless another process has taken the request up in the meantime."""
        import sqlalchemy as sa

        from mien.db.tables import idempotency

        kept = {"headers": dict(answer.headers), "body": answer.body}
        statement = sa.update(idempotency).where(_held(owner, key, slot.holder))
        try:
            with self._database.begin() as connection:
                connection.execute(statement.values(status=answer.status, body=kept))
        finally:
            self._let_go(slot.holder)

    def abandon(self, owner: str, key: str, slot: Slot, *, refused: bool) -> None:
        """Free the key of a request that was refused; one that broke off may be sent again, with the same seed."""
        import sqlalchemy as sa

        from mien.db.tables import idempotency

        free = sa.delete(idempotency) if refused else sa.update(idempotency).values(locked_until=0, holder="")
        try:
            with self._database.begin() as connection:
                connection.execute(free.where(_held(owner, key, slot.holder)))
        finally:
            self._let_go(slot.holder)

    def renew(self) -> None:
        """Renew the locks of all requests that are under way here. Raises DatabaseUnavailable."""
        import sqlalchemy as sa

        from mien.db.tables import idempotency

        with self._lock:
            held = sorted((row, holder) for holder, row in self._held.items())
        if not held:
            return
        later = sa.update(idempotency).values(locked_until=self._now() + LOCK)
        with self._database.begin() as connection:
            for row, holder in held:
                connection.execute(later.where(_held(*row, holder)))

    def close(self) -> None:
        """Renew nothing more: what is under way is given up."""
        self._closed.set()

    def prune(self) -> None:
        """Forget what is older than a day."""
        import sqlalchemy as sa

        from mien.db.tables import idempotency

        with self._database.begin() as connection:
            connection.execute(sa.delete(idempotency).where(idempotency.c.created_at < self._now() - KEPT))

    def _try(self, owner: str, key: str, fingerprint: str) -> Slot | None:
        """The slot; None when the row was taken away by somebody else in this moment."""
        import sqlalchemy as sa
        from sqlalchemy.dialects import postgresql, sqlite

        from mien.db.tables import idempotency

        moment, holder = self._now(), secrets.token_hex(8)
        new = Slot(new_seed(), None, holder)
        kind = sqlite if self._database.is_sqlite else postgresql
        values = {"fingerprint": fingerprint, "job": new.seed, "created_at": moment}
        lock = {"locked_until": moment + LOCK, "holder": holder}
        with self._database.begin() as connection:
            old = sa.delete(idempotency).where(_row(owner, key), idempotency.c.created_at < moment - KEPT)
            connection.execute(old)
            statement = kind.insert(idempotency).values(owner=owner, key=key, **values, **lock)
            statement = statement.on_conflict_do_nothing().returning(idempotency.c.key)
            if connection.execute(statement).first() is not None:
                return new
            left = (idempotency.c.locked_until - moment).label("left")
            query = sa.select(idempotency, left).where(_row(owner, key)).with_for_update()
            row = connection.execute(query).mappings().first()
            slot = None if row is None else _found(row, fingerprint, holder)
            if slot is not None and slot.answer is None:
                connection.execute(sa.update(idempotency).where(_row(owner, key)).values(**lock))
            return slot

    def _now(self) -> ColumnElement[float]:
        import sqlalchemy as sa

        return self._database.clock if self._clock is None else sa.literal(self._clock(), sa.Double())

    def _hold(self, holder: str, row: tuple[str, str]) -> None:
        with self._lock:
            self._held[holder] = row
            if self._thread is None or not self._thread.is_alive():
                self._thread = threading.Thread(target=self._keep, name="mien-locks", daemon=True)
                self._thread.start()

    def _let_go(self, holder: str) -> None:
        with self._lock:
            self._held.pop(holder, None)

    def _keep(self) -> None:
        """Renew until nothing is under way any more."""
        while not self._closed.wait(self._beat):
            with self._lock:
                if not self._held:
                    self._thread = None
                    return
            with suppress(DatabaseUnavailable):  # it may be back before the locks end
                self.renew()


def fingerprint(method: str, path: str, body: Any) -> str:
    """What tells two requests apart: JSON bodies by what they say, not by how they are written."""
    said = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(f"{method} {path}\n{said}".encode("utf-8", "surrogatepass")).hexdigest()


def new_seed(moment: float | None = None) -> str:
    """26 characters: the milliseconds since 1970, so that names sort by time, then 80 random bits."""
    number = int((time.time() if moment is None else moment) * 1000) << 80 | secrets.randbits(80)
    return "".join([_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5)])


_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def _found(row: RowMapping, fingerprint: str, holder: str) -> Slot:
    if row["fingerprint"] != fingerprint:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used for another request; a new request needs a new key."
        )
    if row["status"] is not None:
        return Slot(row["job"], Answer(row["status"], row["body"]["body"], row["body"]["headers"]))
    if row["left"] > 0:
        raise IdempotencyConflict(
            "The first request with this Idempotency-Key is still being done; ask again.",
            min(row["left"], AGAIN),
        )
    return Slot(row["job"], None, holder)


def _held(owner: str, key: str, holder: str) -> Any:
    """The row, as long as it is under way and nobody has taken it over."""
    import sqlalchemy as sa

    from mien.db.tables import idempotency

    return sa.and_(_row(owner, key), idempotency.c.holder == holder, idempotency.c.status.is_(None))


def _row(owner: str, key: str) -> Any:
    import sqlalchemy as sa

    from mien.db.tables import idempotency

    return sa.and_(idempotency.c.owner == owner, idempotency.c.key == key)
