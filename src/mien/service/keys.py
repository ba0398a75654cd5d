"""Keys of clients: ``mien_<id>_<secret>``. Only a hash of the secret is kept.

The secret has 256 random bits, so a plain SHA-256 of it tells nothing: there is no dictionary to try. A slow hash,
made for passwords of people, would only make each request slow.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, fields
from typing import TYPE_CHECKING, Final, Literal

from mien.db import Database
from mien.errors import NotFound, Unauthorized
from mien.service.callers import Caller, Scope, checked_limits, checked_scopes

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

PREFIX: Final = "mien"
GRACE: Final = 24 * 3600.0
"""Seconds for which a rotated key still works."""
FRESH: Final = 2.0
"""Seconds for which what was read of a key counts; after that time a revoked key is refused by all processes."""
USED_EVERY: Final = 60.0
"""Seconds between two notes of when a key was used."""
_REMEMBERED: Final = 4096
_ALPHABET: Final = "0123456789abcdefghjkmnpqrstvwxyz"


@dataclass(frozen=True, slots=True)
class Key:
    """A key without its secret. Moments are seconds since 1970."""

    id: str
    name: str
    scopes: tuple[Scope, ...]
    limits: Mapping[str, float]
    owner: str
    created_at: float
    expires_at: float | None = None
    revoked_at: float | None = None
    used_at: float | None = None

    def status(self, moment: float) -> Literal["active", "expired", "revoked"]:
        """Whether the key is good for anything."""
        if self.revoked_at is not None:
            return "revoked"
        return "expired" if self.expires_at is not None and self.expires_at <= moment else "active"

    def caller(self) -> Caller:
        """Whoever uses the key."""
        return Caller(self.owner, self.id, frozenset(self.scopes), dict(self.limits))


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key that was just made, with the only copy of its secret."""

    key: Key
    token: str = field(repr=False)


class Keys:
    """Makes, finds, rotates and revokes keys. Shared by any number of threads."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._seen: OrderedDict[str, tuple[Key, float]] = OrderedDict()
        self._some = False
        self._looked = -FRESH

    def surely_none(self) -> bool:
        """Whether there was no key within the last seconds; asks no database."""
        return not self._some and self._clock() - self._looked < FRESH

    def exist(self) -> bool:
        """Whether a key was ever made; from then on all callers need one, also when it was revoked since."""
        import sqlalchemy as sa

        from mien.db.tables import api_keys

        if not self._some and self._clock() - self._looked >= FRESH:
            with self._database.read() as connection:
                self._some = connection.execute(sa.select(api_keys.c.id).limit(1)).first() is not None
            self._looked = self._clock()
        return self._some

    def create(
        self,
        name: str,
        scopes: Iterable[str] = ("submit", "read"),
        *,
        limits: Mapping[str, float] | None = None,
        expires_in: float | None = None,
    ) -> NewKey:
        """Make a key; raises OptionError for unknown scopes or limits. ``expires_in`` in seconds."""
        id, moment = _random(12), self._clock()
        until = None if expires_in is None else moment + expires_in
        key = Key(id, name, checked_scopes(scopes), checked_limits(limits), id, moment, until)
        with self._database.begin() as connection:
            return self._insert(connection, key)

    def all(self) -> list[Key]:
        """All keys, the newest first, also those that are good for nothing any more."""
        import sqlalchemy as sa

        from mien.db.tables import api_keys

        with self._database.read() as connection:
            found = connection.execute(sa.select(api_keys).order_by(api_keys.c.created_at.desc()))
            return [_key_of(row) for row in found.mappings()]

    def get(self, id: str) -> Key:
        """One key; raises NotFound."""
        found = self._find(id)
        if found is None:
            raise _missing(id)
        return _key_of(found)

    def rotate(self, id: str, grace: float = GRACE) -> NewKey:
        """Make a key for the same owner with the same rights; the old one works for ``grace`` seconds more.

        Raises NotFound, also for a key that is good for nothing any more.
        """
        import sqlalchemy as sa

        from mien.db.tables import api_keys

        moment = self._clock()
        with self._database.begin() as connection:
            query = sa.select(api_keys).where(api_keys.c.id == id).with_for_update()
            found = connection.execute(query).mappings().first()
            if found is None or _key_of(found).status(moment) != "active":
                raise _missing(id)
            old = _key_of(found)
            ends = min(moment + grace, old.expires_at or moment + grace)
            connection.execute(sa.update(api_keys).where(api_keys.c.id == id).values(expires_at=ends))
            new = Key(_random(12), old.name, old.scopes, old.limits, old.owner, moment, old.expires_at)
            made = self._insert(connection, new)
        self._forget(id)
        return made

    def revoke(self, id: str) -> Key:
        """End a key now; it stays in the list. Raises NotFound."""
        import sqlalchemy as sa

        from mien.db.tables import api_keys

        revoked = sa.func.coalesce(api_keys.c.revoked_at, self._clock())
        statement = sa.update(api_keys).where(api_keys.c.id == id).values(revoked_at=revoked)
        with self._database.begin() as connection:
            found = connection.execute(statement.returning(*api_keys.c)).mappings().first()
        self._forget(id)
        if found is None:
            raise _missing(id)
        return _key_of(found)

    def remembered(self, token: str) -> Caller | None:
        """Who uses a key that was looked up within the last seconds; asks no database."""
        with self._lock:
            key, read = self._seen.get(_digest(token), (None, 0.0))
        moment = self._clock()
        fresh = key is not None and moment - read < FRESH and key.status(moment) == "active"
        return key.caller() if key is not None and fresh else None

    def worked_before(self, token: str) -> bool:
        """Whether this key was good when this process last saw it."""
        with self._lock:
            return _digest(token) in self._seen

    def caller(self, token: str) -> Caller:
        """Who uses a key. Raises Unauthorized for one that is not a key, not known, expired or revoked."""
        found = self.remembered(token)
        return found or self._checked(token).caller()

    def check(self, token: str) -> Key:
        """The key of a token; raises Unauthorized."""
        return self._checked(token)

    def active(self, id: str) -> Key | None:
        """A key by its id, if it is good; for sessions, which name their key."""
        found = self._find(id)
        key = _key_of(found) if found is not None else None
        return key if key is not None and key.status(self._clock()) == "active" else None

    def _checked(self, token: str) -> Key:
        prefix, _, rest = token.partition("_")
        id, _, secret = rest.partition("_")
        found = self._find(id) if prefix == PREFIX and secret else None
        expected = found["secret_hash"] if found is not None else _digest("")
        right = hmac.compare_digest(_digest(secret), expected)
        if found is None or not right:
            raise Unauthorized("The key is not known here; it reads mien_<id>_<secret>.")
        key, moment = _key_of(found), self._clock()
        if key.status(moment) != "active":
            self._forget(key.id)
            raise Unauthorized(f"The key {key.id} has {_ENDS[key.status(moment)]}; ask for a new one.")
        self._remember(token, key, moment)
        return key

    def _remember(self, token: str, key: Key, moment: float) -> None:
        if key.used_at is None or moment - key.used_at > USED_EVERY:
            self._note_use(key.id, moment)
        with self._lock:
            self._seen[_digest(token)] = (key, moment)
            self._seen.move_to_end(_digest(token))
            while len(self._seen) > _REMEMBERED:
                self._seen.popitem(last=False)

    def _forget(self, id: str) -> None:
        with self._lock:
            for digest in [digest for digest, (key, _) in self._seen.items() if key.id == id]:
                del self._seen[digest]

    def _note_use(self, id: str, moment: float) -> None:
        import sqlalchemy as sa

        from mien.db.tables import api_keys

        with self._database.begin() as connection:
            connection.execute(sa.update(api_keys).where(api_keys.c.id == id).values(used_at=moment))

    def _find(self, id: str) -> RowMapping | None:
        import sqlalchemy as sa

        from mien.db.tables import api_keys

        with self._database.read() as connection:
            return connection.execute(sa.select(api_keys).where(api_keys.c.id == id)).mappings().first()

    def _insert(self, connection: Connection, key: Key) -> NewKey:
        import sqlalchemy as sa

        from mien.db.tables import api_keys

        secret = secrets.token_hex(32)
        values = {name: getattr(key, name) for name in _COLUMNS}
        values |= {
            "scopes": list(key.scopes),
            "limits": dict(key.limits),
            "secret_hash": _digest(secret),
        }
        connection.execute(sa.insert(api_keys).values(**values))
        self._some = True
        return NewKey(key, f"{PREFIX}_{key.id}_{secret}")


_COLUMNS: Final = tuple(item.name for item in fields(Key))
_ENDS: Final = {"expired": "expired", "revoked": "been revoked"}


def _key_of(row: RowMapping) -> Key:
    values = {name: row[name] for name in _COLUMNS}
    return Key(**{**values, "scopes": tuple(row["scopes"])})


def _digest(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogateescape")).hexdigest()


def _random(count: int) -> str:
    return "".join(secrets.choice(_ALPHABET) for _ in range(count))


def _missing(id: str) -> NotFound:
    return NotFound(f"There is no key {id} in use; GET keys lists them.")
