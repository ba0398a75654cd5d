"""Uploads past the service: the client puts the bytes into the storage, then says that they are there.

Where the storage cannot give such addresses (a folder, Cloudflare Images), the bytes go through the service itself.

Nothing that was put is trusted: it is read once, hashed, recognised and checked as every other upload, and stored
under a key that the client never had. What was put is deleted, also when nobody ever completes the upload; since an
address stays good until it expires, the object is noted as garbage for the moment after that, from the beginning.
"""

from __future__ import annotations

import secrets
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mien.db import Database
from mien.db.tables import uploads
from mien.errors import NotFound, StorageMissing, UploadIncomplete, UploadTooLarge
from mien.service.asset_rows import Asset
from mien.service.assets import Assets
from mien.service.blobs import note_garbage
from mien.service.intake import Received, in_mb
from mien.service.names import safe_name
from mien.service.settings import ServiceSettings
from mien.storage import Storage

if TYPE_CHECKING:
    from sqlalchemy import RowMapping

LIFETIME: Final = 3600
"""Seconds in which an upload is to be put and completed."""
_LATE: Final = 900.0
"""Seconds after the end of an address in which a request that began before may still be going on."""


@dataclass(frozen=True, slots=True)
class Upload:
    """Bytes that are to come. ``address`` is where to PUT them; None: to the service itself."""

    id: str
    name: str
    size: int
    address: str | None
    expires_at: float
    asset: str | None = None


class Uploads:
    """The uploads of a database and a storage."""

    def __init__(
        self, database: Database, storage: Storage, assets: Assets, settings: ServiceSettings
    ) -> None:
        self._database = database
        self._storage = storage
        self._assets = assets
        self._settings = settings

    def create(self, owner: str, name: str, size: int) -> Upload:
        """Begin an upload of ``size`` bytes. Raises UploadTooLarge, StorageQuotaExceeded, StorageError."""
        import sqlalchemy as sa

        limit = self._settings.max_upload_bytes
        if size > limit:
            raise UploadTooLarge(f"The file is larger than the limit of {in_mb(limit)}; send a smaller one.")
        ticket = self._storage.sign_put("", LIFETIME)
        moment = time.time()
        values = {
            "id": f"upload_{secrets.token_hex(16)}",
            "owner": owner,
            "url": "" if ticket is None else ticket.url,
            "name": safe_name(name),
            "size": size,
            "created_at": moment,
            "expires_at": moment + LIFETIME,
        }
        with self._database.begin() as connection:
            self._assets.quota.check_announced(connection, owner, size)
            connection.execute(sa.insert(uploads).values(**values))
            if ticket is not None:
                note_garbage(connection, ticket.url, moment + LIFETIME + _LATE)
        return Upload(
            str(values["id"]),
            str(values["name"]),
            size,
            None if ticket is None else ticket.address,
            moment + LIFETIME,
        )

    def expected(self, id: str, owner: str) -> Upload:
        """An upload of which the service itself takes the bytes. Raises NotFound, also where the storage takes them."""
        row = self._row(id, owner)
        if row["url"]:
            raise NotFound("The bytes of this upload go to the address that was given for it, not here.")
        return Upload(row["id"], row["name"], row["size"], None, row["expires_at"], row["asset"])

    def put(self, upload: Upload, received: Received, owner: str) -> Asset:
        """Take in the bytes of an upload that came to the service. Raises what ``Assets.add_received`` raises,
        UploadIncomplete.
        """
        _check_size(received.size, upload.size)
        asset = self._assets.add_received(received, owner, upload.name)
        self._finish(upload.id, asset)
        return asset

    def complete(self, id: str, owner: str) -> Asset:
        """Take in what was put; the same again for one that is complete.

        Raises NotFound (also for one that has expired), UploadIncomplete when not all bytes are there, AssetMissing
        when the asset was deleted since, and what ``Assets.add_stream`` raises.
        """
        row = self._row(id, owner)
        if row["asset"] is not None:
            return self._assets.get(row["asset"], owner)
        if not row["url"]:
            raise UploadIncomplete("Nothing was put yet; send the bytes to the address of the upload first.")
        try:
            with self._storage.open(row["url"]) as opened:
                _check_size(opened.size, row["size"])
                asset = self._assets.add_stream(opened, owner, row["name"])
        except StorageMissing:
            raise UploadIncomplete(
                "Nothing was put yet; send the bytes to the address of the upload first."
            ) from None
        self._finish(id, asset)
        # Its note as garbage stays: the address is still good, and may be used again.
        self._storage.delete(row["url"])
        return asset

    def expire(self) -> int:
        """Forget uploads whose time is over; gives how many. Their objects are garbage already."""
        import sqlalchemy as sa

        with self._database.begin() as connection:
            late = sa.delete(uploads).where(uploads.c.expires_at < time.time())
            return int(connection.execute(late).rowcount)

    def _row(self, id: str, owner: str) -> RowMapping:
        import sqlalchemy as sa

        mine = sa.select(uploads).where(
            uploads.c.id == id, uploads.c.owner == owner, uploads.c.expires_at > time.time()
        )
        with self._database.read() as connection:
            row = connection.execute(mine).mappings().first()
        if row is None:
            raise NotFound(f"There is no upload {id[:64]!r}, or it is not yours, or it has expired.")
        return row

    def _finish(self, id: str, asset: Asset) -> None:
        import sqlalchemy as sa

        with self._database.begin() as connection:
            connection.execute(sa.update(uploads).where(uploads.c.id == id).values(asset=asset.id))


def _check_size(found: int, expected: int) -> None:
    if found != expected:
        raise UploadIncomplete(
            f"The upload has {found} bytes, but {expected} were announced; put the whole file again."
        )
