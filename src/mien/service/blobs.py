"""Contents of files: each is one object of the storage, however many people have it.

Objects come and go in two phases. Before an object is written, and when its last use ends, its URL is noted as
garbage in the database; a crash at any moment leaves either a blob with its object, or a note by which the object
is deleted later.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

from mien.db import Database
from mien.db.tables import assets, blobs, garbage
from mien.errors import StorageError, StorageMissing, StorageQuotaExceeded, StorageRefused
from mien.service.intake import Media, Received
from mien.storage import Storage, Stored

if TYPE_CHECKING:
    from sqlalchemy import Connection, Table

T = TypeVar("T")

LONGEST_PUT: Final = 24 * 3600.0
"""Seconds after which an object that was announced and belongs to no blob is thought of as left by a crash."""


@dataclass(frozen=True, slots=True)
class Blob:
    """One content and its object."""

    sha256: str
    url: str
    size: int
    media: Media


class Blobs:
    """The blobs of a database and a storage. Safe to use from many threads and processes."""

    def __init__(self, database: Database, storage: Storage) -> None:
        self._database = database
        self._storage = storage

    def keep(
        self, received: Received, media: Media, filename: str, use: Callable[[Connection, Blob], T]
    ) -> T:
        """Make sure that the content is stored, and run ``use`` in the transaction that holds its blob.

        Raises StorageError and what ``use`` raises.
        """
        kept = self._use_existing(received.sha256, use)
        if kept is not None:
            return kept[0]
        stored, announced = self._put(received.path, filename)
        try:
            return self._use_stored(Blob(received.sha256, stored.url, received.size, media), announced, use)
        except StorageQuotaExceeded:
            self._discard(stored.url)
            raise

    def _use_stored(self, blob: Blob, announced: set[str], use: Callable[[Connection, Blob], T]) -> T:
        """Run ``use`` with a content that was just stored, or with that of somebody who was faster."""
        while True:
            with self._database.begin() as connection:
                if self._insert(connection, blob):
                    result = use(connection, blob)
                    if blob.url in announced:
                        _take_back(connection, blob.url)
                    return result
            # Somebody else stored the same content meanwhile; our object is not needed.
            kept = self._use_existing(blob.sha256, use)
            if kept is not None:
                self._discard(blob.url)
                return kept[0]

    def lock(self, connection: Connection, sha256: str) -> Blob | None:
        """The blob, held until the transaction ends; None when there is none."""
        import sqlalchemy as sa

        row = connection.execute(sa.select(blobs).where(blobs.c.sha256 == sha256).with_for_update()).first()
        return None if row is None else Blob(row.sha256, row.url, row.size, Media(**row.media))

    def release(self, connection: Connection, sha256: str) -> str | None:
        """Forget a content that is nobody's any more; the caller holds its lock.

        Gives the URL of the object, which is garbage from the end of the transaction on; None when somebody has it.
        """
        import sqlalchemy as sa

        if connection.execute(sa.select(assets.c.owner).where(assets.c.id == sha256).limit(1)).first():
            return None
        row = connection.execute(
            sa.delete(blobs).where(blobs.c.sha256 == sha256).returning(blobs.c.url)
        ).first()
        if row is None:
            return None
        note_garbage(connection, row.url, time.time())
        return str(row.url)

    def collect(self, limit: int = 1000) -> int:
        """Delete objects that are garbage; gives how many. Those that cannot be deleted now are tried again later."""
        import sqlalchemy as sa

        due = sa.select(garbage.c.url).where(garbage.c.due_at <= time.time()).order_by(garbage.c.due_at)
        with self._database.read() as connection:
            urls = connection.execute(due.limit(limit)).scalars().all()
        return sum(self._delete(url) for url in urls)

    def delete_object(self, url: str) -> None:
        """Delete an object that was noted as garbage; when that fails, it stays noted."""
        self._delete(url)

    def _use_existing(self, sha256: str, use: Callable[[Connection, Blob], T]) -> tuple[T] | None:
        with self._database.begin() as connection:
            blob = self.lock(connection, sha256)
            return None if blob is None else (use(connection, blob),)

    def _put(self, path: Path, filename: str) -> tuple[Stored, set[str]]:
        announced: set[str] = set()

        def announce(url: str) -> None:
            with self._database.begin() as connection:
                note_garbage(connection, url, time.time() + LONGEST_PUT)
            announced.add(url)

        return self._storage.put_file(path, filename, announce), announced

    def _insert(self, connection: Connection, blob: Blob) -> bool:
        values = {
            "sha256": blob.sha256,
            "url": blob.url,
            "size": blob.size,
            "content_type": blob.media.content_type,
            "media": asdict(blob.media),
            "created_at": time.time(),
        }
        return insert_new(connection, blobs, values)

    def _discard(self, url: str) -> None:
        with self._database.begin() as connection:
            note_garbage(connection, url, time.time())
        self._delete(url)

    def _delete(self, url: str) -> bool:
        import sqlalchemy as sa

        try:
            self._storage.delete(url)
        except StorageMissing:
            pass
        except StorageRefused:
            # Settings that no longer reach the object: looked at again when they may have been put right.
            self._postpone(url, 24 * 3600.0)
            return False
        except StorageError:
            self._postpone(url, 600.0)
            return False
        with self._database.begin() as connection:
            connection.execute(sa.delete(garbage).where(garbage.c.url == url))
        return True

    def _postpone(self, url: str, seconds: float) -> None:
        with self._database.begin() as connection:
            note_garbage(connection, url, time.time() + seconds)


def note_garbage(connection: Connection, url: str, due_at: float) -> None:
    """Note an object that is to be deleted from ``due_at`` (seconds since 1970) on, unless it is taken back."""
    import sqlalchemy as sa

    if not insert_new(connection, garbage, {"url": url, "due_at": due_at}):
        connection.execute(sa.update(garbage).where(garbage.c.url == url).values(due_at=due_at))


def _take_back(connection: Connection, url: str) -> None:
    """Take back the note of an object that is a blob's now. Raises StorageError when it was deleted already."""
    import sqlalchemy as sa

    if connection.execute(sa.delete(garbage).where(garbage.c.url == url)).rowcount == 0:
        raise StorageError(
            "The upload took more than a day; what was stored of it is deleted. Send it again."
        )


def insert_new(connection: Connection, table: Table, values: dict[str, Any]) -> bool:
    """Insert a row; False when there is one of that key already."""
    from sqlalchemy.dialects import postgresql, sqlite

    insert = postgresql.insert if connection.dialect.name == "postgresql" else sqlite.insert
    # Asked for by RETURNING: the count of inserted rows is not known with every driver.
    query = insert(table).values(**values).on_conflict_do_nothing().returning(*table.primary_key)
    return connection.execute(query).first() is not None
