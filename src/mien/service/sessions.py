"""Sessions of browsers: a random token in a cookie stands for a key, so that pages need not hold the key itself."""

from __future__ import annotations

import hashlib
import secrets
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from mien.db import Database
from mien.service.callers import Caller
from mien.service.keys import FRESH, Keys

LIFETIME: Final = 7 * 24 * 3600.0
"""Seconds until a browser has to give its key again."""
_REMEMBERED: Final = 4096


@dataclass(frozen=True, slots=True)
class Session:
    """A session that was just begun, with the only copy of its token."""

    caller: Caller
    expires_at: float
    token: str = field(repr=False)


class Sessions:
    """Begins, finds and ends sessions. A session ends with its key."""

    def __init__(self, database: Database, keys: Keys, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._keys = keys
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: dict[str, tuple[Caller, float, float]] = {}

    def begin(self, key: str) -> Session:
        """Begin a session with a key; raises Unauthorized."""
        import sqlalchemy as sa

        from mien.db.tables import sessions

        good = self._keys.check(key)
        token, moment = secrets.token_urlsafe(32), self._clock()
        until = min(moment + LIFETIME, good.expires_at or moment + LIFETIME)
        with self._database.begin() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.expires_at < moment))
            connection.execute(
                sa.insert(sessions).values(
                    token_hash=_digest(token), key=good.id, created_at=moment, expires_at=until
                )
            )
        return Session(good.caller(), until, token)

    def remembered(self, token: str) -> Caller | None:
        """Who calls, if the session was looked up within the last seconds; asks no database."""
        with self._lock:
            found = self._seen.get(_digest(token))
        if found is None or not self._clock() < min(found[1] + FRESH, found[2]):
            return None
        return found[0]

    def find(self, token: str) -> tuple[Caller, float] | None:
        """Who calls and until when the session lasts; None when it has ended or its key is good no more."""
        import sqlalchemy as sa

        from mien.db.tables import sessions

        digest, moment = _digest(token), self._clock()
        query = sa.select(sessions).where(sessions.c.token_hash == digest)
        with self._database.read() as connection:
            found = connection.execute(query).mappings().first()
        key = self._keys.active(found["key"]) if found is not None and found["expires_at"] > moment else None
        with self._lock:
            if found is None or key is None:
                self._seen.pop(digest, None)
                return None
            if len(self._seen) >= _REMEMBERED:
                self._seen.clear()
            self._seen[digest] = (key.caller(), moment, found["expires_at"])
        return key.caller(), found["expires_at"]

    def end(self, token: str) -> None:
        """End a session; one that is not there is no error."""
        import sqlalchemy as sa

        from mien.db.tables import sessions

        with self._lock:
            self._seen.pop(_digest(token), None)
        with self._database.begin() as connection:
            connection.execute(sa.delete(sessions).where(sessions.c.token_hash == _digest(token)))


def _digest(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogateescape")).hexdigest()
