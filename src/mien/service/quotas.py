"""How many bytes of assets an owner may keep: by the settings, or by the limit of the owner's key.

Each content counts once for each owner who has it. Results count as well, but are never refused: whoever has used all
cannot send anything more, nor have anything more made of it. An upload that was announced (``Uploads``) counts with
its size when another one is announced.

A key with the scope ``work`` alone is a consumer's. What it sends are results for others, so it has no limit.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any, Final

from mien.db import Database
from mien.errors import StorageQuotaExceeded
from mien.service.callers import LIMITS
from mien.service.settings import MB, ServiceSettings

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

STORED: Final = "stored_mb"
"""The name of the limit."""
_HOW: Final = "delete assets, or jobs with their results, or wait until some expire"


class Quota:
    """Counts what owners keep, and refuses what is too much. Keeps nothing itself."""

    def __init__(self, database: Database, settings: ServiceSettings) -> None:
        self._database = database
        self._settings = settings

    def stored(self, owner: str) -> int:
        """The bytes that an owner keeps."""
        with self._database.read() as connection:
            return _stored(connection, owner)

    def check_room(self, owner: str, most_mb: float | None) -> None:
        """Raise StorageQuotaExceeded when an owner who may keep ``most_mb`` has used all, so that results would add
        to it.
        """
        if most_mb is None:
            return
        stored = self.stored(owner)
        if stored >= most_mb * MB:
            raise StorageQuotaExceeded(
                f"You keep {_mb(stored)} of files, and {_mb(most_mb * MB)} are yours, so there is no room for "
                f"results; {_HOW}."
            )

    def check_upload(self, owner: str, sha256: str, size: int) -> None:
        """Refuse a content before it is put into the storage; one that the owner has already adds nothing.

        Raises StorageQuotaExceeded.
        """
        with self._database.read() as connection:
            most = self._limit(connection, owner)
            if most is not None and not _has(connection, owner, sha256):
                _check(_stored(connection, owner) + size, size, most)

    def check_added(self, connection: Connection, owner: str, size: int) -> None:
        """The same in the transaction that has added the asset, where two at once cannot both be the last to fit."""
        most = self._limit(connection, owner)
        if most is not None:
            self._one_by_one(connection, owner)
            _check(_stored(connection, owner), size, most)

    def check_announced(self, connection: Connection, owner: str, size: int) -> None:
        """Refuse an upload that is announced in this transaction, beside all others that are on their way.

        Raises StorageQuotaExceeded.
        """
        most = self._limit(connection, owner)
        if most is not None:
            self._one_by_one(connection, owner)
            _check(_stored(connection, owner) + _announced(connection, owner) + size, size, most)

    def _limit(self, connection: Connection, owner: str) -> float | None:
        """In MB, by the newest key of the owner that is good."""
        import sqlalchemy as sa

        from mien.db.tables import api_keys

        common: float | None = getattr(self._settings, LIMITS[STORED])
        if not owner:
            return common
        moment = time.time()
        good = sa.and_(
            api_keys.c.revoked_at.is_(None),
            sa.or_(api_keys.c.expires_at.is_(None), api_keys.c.expires_at > moment),
        )
        query = sa.select(api_keys.c.limits, api_keys.c.scopes).where(api_keys.c.owner == owner, good)
        found = connection.execute(query.order_by(api_keys.c.created_at.desc()).limit(1)).first()
        if found is None:
            return common
        own: float | None = found.limits.get(STORED)
        if own is not None:
            return own
        return None if list(found.scopes) == ["work"] else common

    def _one_by_one(self, connection: Connection, owner: str) -> None:
        """Let transactions of one owner wait for each other; with SQLite all that write do."""
        import sqlalchemy as sa

        if not self._database.is_sqlite:
            name = sa.func.hashtextextended(f"mien.quota {owner}", 0)
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(name)))


def _stored(connection: Connection, owner: str) -> int:
    import sqlalchemy as sa

    from mien.db.tables import assets, blobs

    both = assets.join(blobs, blobs.c.sha256 == assets.c.id)
    query = sa.select(_sum(blobs.c.size)).select_from(both).where(assets.c.owner == owner)
    return int(connection.execute(query).scalar_one())


def _announced(connection: Connection, owner: str) -> int:
    import sqlalchemy as sa

    from mien.db.tables import uploads

    to_come = sa.and_(uploads.c.owner == owner, uploads.c.asset.is_(None), uploads.c.expires_at > time.time())
    return int(connection.execute(sa.select(_sum(uploads.c.size)).where(to_come)).scalar_one())


def _has(connection: Connection, owner: str, sha256: str) -> bool:
    import sqlalchemy as sa

    from mien.db.tables import assets

    query = sa.select(assets.c.id).where(assets.c.id == sha256, assets.c.owner == owner)
    return connection.execute(query).first() is not None


def _sum(column: ColumnElement[Any]) -> ColumnElement[Any]:
    import sqlalchemy as sa

    return sa.func.coalesce(sa.func.sum(column), 0)


def _check(total: int, size: int, most_mb: float) -> None:
    if total > most_mb * MB:
        raise StorageQuotaExceeded(
            f"The file has {_mb(size)}, and of the {_mb(most_mb * MB)} that are yours {_mb(total - size)} are used; "
            f"{_HOW}."
        )


def _mb(size: float) -> str:
    return f"{size / MB:,.1f} MB" if size >= MB else f"{size / MB:.2g} MB"
