"""Assets: what people gave and what was made for them, named by the SHA-256 of the content.

The same content of two people is one blob with two assets; nobody can tell from the answers whether somebody else
has a file. An asset that a job needs that has not ended (drafted, queued or running) cannot be deleted
(``AssetInUse``, 409) and does not expire; ``hold`` makes that safe for a job that is being submitted.
"""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mien.db import Database
from mien.db.tables import assets, blobs
from mien.errors import AssetInUse, StorageMissing, UploadTooLarge
from mien.service.asset_rows import (
    Asset,
    Origin,
    belongs,
    hold_rows,
    is_needed,
    missing,
    page_of,
    put_row,
    select_assets,
    to_asset,
)
from mien.service.blobs import Blob, Blobs
from mien.service.copies import LocalCopies
from mien.service.intake import (
    Received,
    describe_result,
    examine,
    in_mb,
    measured,
    named,
    receive,
    scratch_file,
)
from mien.service.names import safe_name
from mien.service.quotas import Quota
from mien.service.requests import is_asset_id
from mien.service.settings import ServiceSettings
from mien.service.space import Space
from mien.service.tracing import OFF, Tracing
from mien.storage import Opened, Storage

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from mien.fetch import Fetcher


class Assets:
    """The assets of a database and a storage. Safe to use from many threads and processes.

    Every method that takes ``owner`` raises AssetMissing for what belongs to somebody else.
    """

    def __init__(
        self,
        database: Database,
        storage: Storage,
        settings: ServiceSettings,
        fetcher: Fetcher | None = None,
        tracing: Tracing = OFF,
        space: Space | None = None,
    ) -> None:
        """``fetcher`` is for other rules of fetching than those of the settings, ``space`` for another disk."""
        self.blobs = Blobs(database, storage)
        self.quota = Quota(database, settings)
        folder = settings.data_folder()
        self.scratch = folder / "scratch" / "uploads"
        self.copies = LocalCopies(folder / "cache" / "assets", int(settings.cache_mb * (1 << 20)))
        self._database = database
        self._storage = storage
        self._settings = settings
        self._fetcher = fetcher
        self._tracing = tracing
        self._space = space or Space(settings)

    def add_received(self, received: Received, owner: str, name: str) -> Asset:
        """Take in an upload that was received into a scratch file already. Raises what ``add_stream`` raises."""
        return self._add(received, owner, name, "upload", None)

    def add_stream(self, chunks: Iterable[bytes], owner: str, name: str, origin: Origin = "upload") -> Asset:
        """Take in a file as it comes; when it breaks off, nothing is left behind.

        Raises UploadTooLarge, CorruptMedia, UnsupportedMedia, UnsafeInput, MediaTooLarge, StorageQuotaExceeded,
        StorageError, DiskFull and what ``chunks`` raises.
        """
        with scratch_file(self.scratch) as path:
            received = receive(chunks, path, self._settings.max_upload_bytes)
            return self._add(received, owner, name, origin, None)

    def store_file(
        self, path: Path, owner: str, name: str, origin: Origin = "upload", expires_at: float | None = None
    ) -> Asset:
        """Take in a file of this machine, which is left as it is. Results are not held against limits of inputs.

        ``expires_at`` is when it goes; by the settings when None. Raises what ``add_stream`` raises, and InputMissing.
        """
        limit = self._settings.max_upload_bytes
        if origin != "result" and path.stat().st_size > limit:
            raise UploadTooLarge(f"The file is larger than the limit of {in_mb(limit)}; send a smaller one.")
        return self._add(measured(path), owner, name, origin, expires_at)

    def add_url(self, url: str, owner: str, name: str | None = None) -> Asset:
        """Fetch a file of the web, named by the last part of its address when ``name`` is None.

        Raises what ``Fetcher.fetch`` and ``add_stream`` raise.
        """
        from urllib.parse import unquote, urlsplit

        self._space.check()
        self.scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        with self._tracing.span("fetch", role="client", host=urlsplit(url).hostname) as span:
            path = self._fetching().fetch(url, self.scratch)
            span.note(bytes=path.stat().st_size)
        try:
            return self.store_file(path, owner, name or unquote(urlsplit(url).path), "fetch")
        finally:
            path.unlink(missing_ok=True)

    def give(self, id: str, giver: str, owner: str) -> Asset:
        """Make an asset of one owner a result of another, without copying it. Raises AssetMissing."""
        with self._database.begin() as connection:
            row = (
                connection.execute(select_assets().where(belongs(id, giver)).with_for_update())
                .mappings()
                .first()
            )
            if row is None or not is_asset_id(id):
                raise missing(id)
            found = to_asset(row)
            blob = Blob(found.id, found.url, found.size, found.media)
            put_row(connection, blob, owner, found.name, "result", time.time() + self._settings.retain_jobs)
            return to_asset(connection.execute(select_assets().where(belongs(id, owner))).mappings().one())

    def get(self, id: str, owner: str | None) -> Asset:
        """One asset; ``owner`` None means anybody's. Raises AssetMissing."""
        wanted = assets.c.id == id if owner is None else belongs(id, owner)
        with self._database.read() as connection:
            row = connection.execute(select_assets().where(wanted).limit(1)).mappings().first()
        if row is None or not is_asset_id(id):
            raise missing(id)
        return to_asset(row)

    def page(self, owner: str, before: str | None = None, limit: int = 50) -> tuple[list[Asset], str | None]:
        """The newest assets first, and the cursor of the next page (None at the end). Raises OptionError for a cursor
        that is none.
        """
        with self._database.read() as connection:
            found = [
                to_asset(row) for row in connection.execute(page_of(owner, before, limit + 1)).mappings()
            ]
        last = found[limit - 1] if len(found) > limit else None
        return found[:limit], None if last is None else f"{last.created_at!r}-{last.id}"

    def open(self, id: str, owner: str | None, start: int = 0, end: int | None = None) -> Opened:
        """The content from byte ``start`` up to ``end``. Raises AssetMissing, StorageError."""
        return self.open_asset(self.get(id, owner), start, end)

    def open_asset(self, asset: Asset, start: int = 0, end: int | None = None) -> Opened:
        """The content of an asset that is at hand already."""
        try:
            return self._storage.open(asset.url, start, end)
        except StorageMissing:
            raise missing(asset.id) from None

    def sign(self, asset: Asset, seconds: int) -> str:
        """An address at which anybody can read the content for so long. Raises StorageRefused where there is none."""
        return self._storage.sign(asset.url, seconds)

    @contextmanager
    def local_copy(self, id: str, owner: str | None) -> Iterator[Path]:
        """A read-only copy on this machine, kept for the length of the block and often longer.

        The same content always has the same path on one machine, modification time 0, and was checked against its
        hash. Raises AssetMissing, StorageError, DiskFull.
        """
        asset = self.get(id, owner)
        with self.copies.use(asset.id, asset.media.ending, lambda: self.open_asset(asset)) as path:
            yield path

    def thumbnail(self, id: str, owner: str, size: int = 256, frame: int = 0) -> bytes:
        """A JPEG of at most ``size`` × ``size`` pixels of a picture, or of one frame of a video.

        Raises UnsupportedMedia for what has no picture, CorruptMedia, and what ``local_copy`` raises.
        """
        from mien.service.thumbnails import draw

        asset = self.get(id, owner)
        name = f"{asset.id}-{size}-{frame}.jpg"
        content = self.copies.read(name)
        if content is None:
            with self.local_copy(id, owner) as path:
                content = draw(path, asset, size, frame)
            self.copies.write(name, content)
        return content

    def touch(self, id: str, owner: str) -> None:
        """Say that an asset was used, so that it expires later. Raises AssetMissing."""
        with self._database.begin() as connection:
            self.hold(connection, [id], owner)

    def hold(self, connection: Connection, ids: Iterable[str], owner: str) -> None:
        """Make sure, in the transaction that stores a job, that its assets are there and stay as long as it is active.

        Raises AssetMissing.
        """
        hold_rows(connection, ids, owner, self._settings.retain_assets)

    def delete(self, id: str, owner: str) -> None:
        """Delete an asset, and its content when nobody else has it. Raises AssetMissing, AssetInUse."""
        import sqlalchemy as sa

        with self._database.begin() as connection:
            self.blobs.lock(connection, id)
            found = connection.execute(
                sa.select(assets.c.id).where(belongs(id, owner)).with_for_update()
            ).first()
            if found is None:
                raise missing(id)
            if is_needed(connection, id, owner):
                raise AssetInUse(
                    f"The asset {id[:12]}… is needed by a job that has not ended; cancel that first."
                )
            url = self.drop(connection, id, owner)
        self.finish_drop(id, url)

    def drop(self, connection: Connection, id: str, owner: str) -> str | None:
        """Remove a row, in the transaction of a caller that holds the blob's lock; ``finish_drop`` comes after it."""
        import sqlalchemy as sa

        connection.execute(sa.delete(assets).where(belongs(id, owner)))
        return self.blobs.release(connection, id)

    def finish_drop(self, id: str, url: str | None) -> None:
        """Delete what ``drop`` found to be nobody's, after its transaction."""
        if url is not None:
            self.copies.forget(id)
            self.blobs.delete_object(url)

    def forget_copies(self) -> None:
        """Remove copies on this machine of contents that are gone, and keep their sum within its limit."""
        import sqlalchemy as sa

        here = sorted(self.copies.contents())
        for first in range(0, len(here), 500):
            some = here[first : first + 500]
            with self._database.read() as connection:
                query = sa.select(blobs.c.sha256).where(blobs.c.sha256.in_(some))
                known = set(connection.execute(query).scalars())
            for sha256 in set(some) - known:
                self.copies.forget(sha256)
        self.copies.trim()

    def _add(
        self, received: Received, owner: str, name: str, origin: Origin, expires_at: float | None
    ) -> Asset:
        shown = safe_name(name, "")
        is_result = origin == "result"
        media = describe_result(received.path) if is_result else examine(received.path, shown, self._settings)
        name = named(shown, media)
        if expires_at is None:
            kept = self._settings.retain_jobs if is_result else self._settings.retain_assets
            expires_at = time.time() + kept

        if not is_result:
            self.quota.check_upload(owner, received.sha256, received.size)

        def use(connection: Connection, blob: Blob) -> Asset:
            is_new = put_row(connection, blob, owner, name, origin, expires_at)
            if is_new and not is_result:
                self.quota.check_added(connection, owner, received.size)
            return to_asset(
                connection.execute(select_assets().where(belongs(blob.sha256, owner))).mappings().one()
            )

        return self.blobs.keep(received, media, name, use)

    def _fetching(self) -> Fetcher:
        from mien.fetch import Fetcher

        if self._fetcher is None:
            self._fetcher = Fetcher(fetch_settings(self._settings))
        return self._fetcher


def fetch_settings(settings: ServiceSettings) -> Any:
    """The rules of fetching for the service: its limits, over those of ``MIEN_FETCH_*``."""
    from mien.fetch import FetchSettings

    return FetchSettings.model_validate(
        {
            **FetchSettings.from_environment().model_dump(),
            "schemes": ("https", "http") if settings.fetch_http else ("https",),
            "allowed_networks": settings.fetch_allow,
            "max_bytes": settings.max_upload_bytes,
            "max_pixels": settings.max_pixels,
        }
    )
