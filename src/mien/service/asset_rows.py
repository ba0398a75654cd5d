"""Rows of assets: one person's hold on a content each."""

from __future__ import annotations

import re
import time
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cache
from typing import TYPE_CHECKING, Any, Final, Literal

from mien.db.tables import assets, blobs, jobs
from mien.errors import AssetMissing, OptionError
from mien.service.blobs import Blob, insert_new
from mien.service.intake import Kind, Media
from mien.service.requests import is_asset_id

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection, RowMapping, Select

Origin = Literal["upload", "fetch", "result"]

ACTIVE: Final = ("drafted", "queued", "running")
"""States of jobs that need their assets."""
SLACK: Final = 3600.0
"""Seconds for which an asset may be kept longer than settings say."""
REFERENCE: Final = re.compile(r"asset:([0-9a-f]{64})")
"""How the arguments of a step name an asset."""


@dataclass(frozen=True, slots=True)
class Asset:
    """One person's hold on a content. Moments are seconds since 1970."""

    id: str
    """SHA-256 of the content in hex digits."""
    owner: str
    name: str
    """For people and for Content-Disposition; safe there, with the ending of what the content is."""
    origin: Origin
    size: int
    media: Media
    url: str
    """Of the object in the storage; not for clients."""
    created_at: float
    expires_at: float | None

    @property
    def kind(self) -> Kind:
        """image, video, audio, or file for results that are no media."""
        return self.media.kind

    @property
    def content_type(self) -> str:
        """The media type of the content, by the content."""
        return self.media.content_type


def references(content: str) -> set[str]:
    """The ids of all assets that a stored job names."""
    return set(REFERENCE.findall(content))


def select_assets() -> Select[Any]:
    """Assets with what is known of their contents; ``to_asset`` reads the rows."""
    import sqlalchemy as sa

    return sa.select(assets, blobs.c.url, blobs.c.size, blobs.c.media).join(
        blobs, blobs.c.sha256 == assets.c.id
    )


def belongs(id: str, owner: str) -> ColumnElement[bool]:
    """The condition that a row is that of an owner's asset."""
    import sqlalchemy as sa

    return sa.and_(assets.c.id == id, assets.c.owner == owner)


def to_asset(row: RowMapping) -> Asset:
    """The asset of a row of ``select_assets``."""
    values = {name: row[name] for name in ("id", "owner", "name", "origin", "size", "url")}
    moments = {name: row[name] for name in ("created_at", "expires_at")}
    return Asset(**values, **moments, media=Media(**row["media"]))


def missing(id: str) -> AssetMissing:
    """The error for an asset that is not there, which is the same for one of somebody else."""
    return AssetMissing(f"There is no asset {id[:64]!r}, or it is not yours, or it has expired.")


def page_of(owner: str, before: str | None, limit: int) -> Select[Any]:
    """The newest assets first, behind a cursor. Raises OptionError for one that is none."""
    import sqlalchemy as sa

    query = select_assets().where(assets.c.owner == owner)
    if before is not None:
        query = query.where(sa.tuple_(assets.c.created_at, assets.c.id) < _cursor(before))
    return query.order_by(assets.c.created_at.desc(), assets.c.id.desc()).limit(limit)


def put_row(
    connection: Connection, blob: Blob, owner: str, name: str, origin: Origin, expires_at: float | None
) -> bool:
    """Add a row, or let the one that is there live at least as long; what was uploaded once stays an upload.

    False when there was one.
    """
    import sqlalchemy as sa

    values = {
        "id": blob.sha256,
        "owner": owner,
        "name": name,
        "origin": origin,
        "created_at": time.time(),
        "expires_at": expires_at,
    }
    if insert_new(connection, assets, values):
        return True
    changes: dict[str, Any] = {
        "expires_at": sa.case((assets.c.expires_at < expires_at, expires_at), else_=assets.c.expires_at)
    }
    if origin != "result":
        changes |= {"name": name, "origin": origin}
    connection.execute(sa.update(assets).where(belongs(blob.sha256, owner)).values(**changes))
    return False


def hold_rows(connection: Connection, ids: Iterable[str], owner: str, seconds: float) -> None:
    """Lock assets in a transaction, and keep them for at least so many seconds. Raises AssetMissing."""
    import sqlalchemy as sa

    wanted = sorted(set(ids))
    if not wanted:
        return
    found = connection.execute(_holding(), {"owner": owner, "wanted": wanted})
    ends = {row.id: row.expires_at for row in found}
    until = time.time() + seconds
    # A little more than is needed, so that not every job changes the row, for which others would have to wait.
    later = until + min(seconds * 0.05, SLACK)
    # In one order, so that two jobs with the same assets do not wait for each other.
    for id in wanted:
        if id not in ends:
            raise missing(id)
        if ends[id] is not None and ends[id] < until:
            connection.execute(sa.update(assets).where(belongs(id, owner)).values(expires_at=later))


@cache
def _holding() -> Select[Any]:
    """Finds assets and locks them, in a way that keeps deletions away and nobody else. Made once, to save time."""
    import sqlalchemy as sa

    wanted = assets.c.id.in_(sa.bindparam("wanted", expanding=True))
    own = sa.and_(assets.c.owner == sa.bindparam("owner"), wanted)
    return sa.select(assets.c.id, assets.c.expires_at).where(own).with_for_update(read=True, key_share=True)


def is_needed(connection: Connection, id: str, owner: str) -> bool:
    """Whether a job that has not ended needs an asset."""
    import sqlalchemy as sa

    uses = sa.select(jobs.c.id).where(
        jobs.c.owner == owner, jobs.c.status.in_(ACTIVE), jobs.c.content.contains(f"asset:{id}")
    )
    return connection.execute(uses.limit(1)).first() is not None


def _cursor(text: str) -> tuple[float, str]:
    moment, dash, id = text.rpartition("-")
    try:
        if dash and is_asset_id(id):
            return float(moment), id
    except ValueError:
        pass
    raise OptionError("The cursor is none that was given out; leave it away to begin at the newest.")
