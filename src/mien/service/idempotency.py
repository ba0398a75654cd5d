"""Requests that may be sent twice and are done once: what an Idempotency-Key means.

A key belongs to its owner and is kept for a day.

=============================================  ===========================================================
the key is new                                 the request is done, its answer is kept
it was used for the same request, now done     the kept answer is given again
it was used for the same request, under way    IdempotencyConflict (409); the same request may be sent again soon
it was used for another request                IdempotencyMismatch (422)
the first request was refused                  the key is free again
the first request broke off                    the same request is done anew, with the same ``seed``
the first process died while it worked         the same, after ``LOCK`` seconds
=============================================  ===========================================================

Whoever makes something of a request names it after the ``seed`` of its slot. So a process that died after its work
was stored, but before the answer was, leaves something that its successor finds by name instead of making it twice.
"""

from __future__ import annotations

import hashlib
import json
import secrets
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from mien.db import Database
from mien.errors import IdempotencyConflict, IdempotencyMismatch, OptionError

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

KEPT: Final = 24 * 3600.0
"""Seconds for which answers are kept."""
LOCK: Final = 60.0
"""Seconds after which a request counts as given up by a process that died."""
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
    locked_until: float = 0.0


class Idempotency:
    """Keeps answers by owner and key. Shared by any number of threads and processes."""

    def __init__(
        self, database: Database, clock: Callable[[], float] = time.time, lock: float = LOCK
    ) -> None:
        self._database = database
        self._clock = clock
        self._lock = lock

    def begin(self, owner: str, key: str, fingerprint: str) -> Slot:
        """Begin a request. Raises OptionError for a key that is too long, IdempotencyConflict, IdempotencyMismatch."""
        import sqlalchemy as sa
        from sqlalchemy.dialects import postgresql, sqlite

        from mien.db.tables import idempotency

        if not 0 < len(key) <= LONGEST:
            raise OptionError(
                f"An Idempotency-Key has 1 to {LONGEST} characters, but this one has {len(key)}."
            )
        moment = self._clock()
        new = Slot(new_seed(moment), None, moment + self._lock)
        kind = sqlite if self._database.is_sqlite else postgresql
        values = {"fingerprint": fingerprint, "job": new.seed, "created_at": moment}
        with self._database.begin() as connection:
            old = sa.delete(idempotency).where(_row(owner, key), idempotency.c.created_at < moment - KEPT)
            connection.execute(old)
            statement = kind.insert(idempotency).values(
                owner=owner, key=key, locked_until=new.locked_until, **values
            )
            statement = statement.on_conflict_do_nothing().returning(idempotency.c.key)
            if connection.execute(statement).first() is not None:
                return new
            query = sa.select(idempotency).where(_row(owner, key)).with_for_update()
            slot = _found(connection.execute(query).mappings().one(), fingerprint, moment, new.locked_until)
            if slot.answer is None:
                again = sa.update(idempotency).where(_row(owner, key))
                connection.execute(again.values(locked_until=slot.locked_until))
            return slot

    def finish(self, owner: str, key: str, slot: Slot, answer: Answer) -> None:
        """Keep the answer, unless another process has taken the request up in the meantime."""
        import sqlalchemy as sa

        from mien.db.tables import idempotency

        kept = {"headers": dict(answer.headers), "body": answer.body}
        statement = sa.update(idempotency).where(
            _row(owner, key), idempotency.c.locked_until == slot.locked_until
        )
        with self._database.begin() as connection:
            connection.execute(statement.values(status=answer.status, body=kept))

    def abandon(self, owner: str, key: str, slot: Slot, *, refused: bool) -> None:
        """Free the key of a request that was refused; one that broke off may be sent again, with the same seed."""
        import sqlalchemy as sa

        from mien.db.tables import idempotency

        own = sa.and_(
            _row(owner, key),
            idempotency.c.locked_until == slot.locked_until,
            idempotency.c.status.is_(None),
        )
        free = sa.delete(idempotency) if refused else sa.update(idempotency).values(locked_until=0)
        with self._database.begin() as connection:
            connection.execute(free.where(own))

    def prune(self) -> None:
        """Forget what is older than a day."""
        import sqlalchemy as sa

        from mien.db.tables import idempotency

        with self._database.begin() as connection:
            connection.execute(sa.delete(idempotency).where(idempotency.c.created_at < self._clock() - KEPT))


def fingerprint(method: str, path: str, body: Any) -> str:
    """What tells two requests apart: JSON bodies by what they say, not by how they are written."""
    said = json.dumps(body, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(f"{method} {path}\n{said}".encode("utf-8", "surrogatepass")).hexdigest()


def new_seed(moment: float | None = None) -> str:
    """26 characters: the milliseconds since 1970, so that names sort by time, then 80 random bits."""
    number = int((time.time() if moment is None else moment) * 1000) << 80 | secrets.randbits(80)
    return "".join(_ALPHABET[number >> shift & 31] for shift in range(125, -1, -5))


_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


def _found(row: RowMapping, fingerprint: str, moment: float, until: float) -> Slot:
    if row["fingerprint"] != fingerprint:
        raise IdempotencyMismatch(
            "This Idempotency-Key was used for another request; a new request needs a new key."
        )
    if row["status"] is not None:
        return Slot(row["job"], Answer(row["status"], row["body"]["body"], row["body"]["headers"]))
    if row["locked_until"] > moment:
        raise IdempotencyConflict(
            "The first request with this Idempotency-Key is still being done; ask again."
        )
    return Slot(row["job"], None, until)


def _row(owner: str, key: str) -> Any:
    import sqlalchemy as sa

    from mien.db.tables import idempotency

    return sa.and_(idempotency.c.owner == owner, idempotency.c.key == key)
