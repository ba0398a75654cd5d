"""Nothing is kept for ever: jobs, assets, uploads and records go when their time is over, and their files with them.

One process at a time sweeps the database and the storage; every process keeps its own disk in order. A sweep may be
killed at any moment: what it has not done, the next one does.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, Final

from mien.db import Database
from mien.db.tables import (
    assets,
    batches,
    blobs,
    idempotency,
    job_events,
    jobs,
    locks,
    webhook_deliveries,
)
from mien.jobs.queries import CLI
from mien.jobs.rows import ENDED
from mien.service.asset_rows import is_needed
from mien.service.assets import Assets
from mien.service.blobs import insert_new
from mien.service.settings import ServiceSettings
from mien.service.uploads import Uploads

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement, Connection

EVERY: Final = 300.0
"""Seconds between two sweeps."""
LOCK: Final = "retention"
LONGEST: Final = 1800.0
"""Seconds for which one sweep may keep others from sweeping; a dead process keeps them so long at most."""
PIECE: Final = 200
"""Jobs or assets of one transaction; others wait to write meanwhile."""
DRAFTS: Final = 30 * 24 * 3600.0
"""Seconds after the last change that a draft is kept."""
IDEMPOTENCY: Final = 24 * 3600.0
SCRATCH: Final = 24 * 3600.0
"""Seconds after which a scratch file is thought of as left by a crash."""


class Retention:
    """Sweeps; see above. ``clock`` gives seconds since 1970."""

    def __init__(
        self,
        database: Database,
        assets: Assets,
        uploads: Uploads,
        settings: ServiceSettings,
        clock: Callable[[], float] = time.time,
    ) -> None:
        self._database = database
        self._assets = assets
        self._uploads = uploads
        self._settings = settings
        self._clock = clock

    def sweep(self) -> Mapping[str, int]:
        """Delete what is over; gives how many of what. Nothing while another process sweeps.

        Raises DatabaseUnavailable.
        """
        self.sweep_local()
        if not self._lock():
            return {}
        try:
            return self._sweep()
        finally:
            self._unlock()

    def sweep_local(self) -> None:
        """Remove copies of contents that are gone, and scratch files that a crash left, on this machine."""
        self._assets.forget_copies()
        end = self._clock() - SCRATCH
        folder = self._assets.scratch
        for path in folder.iterdir() if folder.is_dir() else ():
            try:
                if path.stat().st_mtime < end:
                    path.unlink()
            except OSError:
                continue

    def _sweep(self) -> Mapping[str, int]:
        found: Counter[str] = Counter()
        found["jobs"] = self._jobs()
        found["batches"] = self._batches()
        found["assets"] = self._expired_assets()
        found["uploads"] = self._uploads.expire()
        found["records"] = self._records()
        found["blobs"] = self._lone_blobs()
        while collected := self._assets.blobs.collect(PIECE):
            found["objects"] += collected
        return {name: count for name, count in found.items() if count}

    def _jobs(self) -> int:
        """Jobs that have ended and whose time is over, and drafts that nobody goes on with."""
        import sqlalchemy as sa

        moment = self._clock()
        forgotten = sa.and_(
            jobs.c.expires_at.is_(None), jobs.c.ended_at < moment - self._settings.retain_jobs
        )
        over = sa.and_(jobs.c.status.in_(ENDED), sa.or_(jobs.c.expires_at < moment, forgotten))
        draft = sa.and_(jobs.c.status == "drafted", jobs.c.updated_at < moment - DRAFTS)
        due = sa.select(jobs.c.id).where(jobs.c.kind != CLI, sa.or_(over, draft)).limit(PIECE)
        return self._in_pieces(lambda connection: self._forget_jobs(connection, due))

    def _forget_jobs(self, connection: Connection, due: Any) -> int:
        import sqlalchemy as sa

        # A job that is being retried just now is held by its transaction, and left alone.
        ids = connection.execute(due.with_for_update(skip_locked=True)).scalars().all()
        for table, column in (
            (job_events, job_events.c.job),
            (webhook_deliveries, webhook_deliveries.c.job),
            (jobs, jobs.c.id),
        ):
            connection.execute(sa.delete(table).where(column.in_(ids)))
        return len(ids)

    def _batches(self) -> int:
        """Batches without jobs; young ones may be about to get theirs."""
        import sqlalchemy as sa

        empty = ~sa.exists().where(jobs.c.batch == batches.c.id)
        old = batches.c.created_at < self._clock() - 3600
        return self._delete(batches, old, empty)

    def _expired_assets(self) -> int:
        import sqlalchemy as sa

        due = sa.select(assets.c.id, assets.c.owner).where(assets.c.expires_at < self._clock())
        with self._database.read() as connection:
            found = connection.execute(due.order_by(assets.c.expires_at).limit(20 * PIECE)).all()
        return sum(self._expire(id, owner) for id, owner in found)

    def _expire(self, id: str, owner: str) -> bool:
        """Delete an asset unless a job that has not ended needs it, or a job that is kept has it as a result."""
        import sqlalchemy as sa

        mine = (assets.c.id == id, assets.c.owner == owner, assets.c.expires_at < self._clock())
        with self._database.begin() as connection:
            self._assets.blobs.lock(connection, id)
            row = connection.execute(sa.select(assets.c.origin).where(*mine).with_for_update()).first()
            if row is None:
                return False
            is_kept = row.origin == "result" and self._is_result(connection, id, owner)
            if is_kept or is_needed(connection, id, owner):
                later = self._clock() + 3600
                connection.execute(sa.update(assets).where(*mine).values(expires_at=later))
                return False
            url = self._assets.drop(connection, id, owner)
        self._assets.finish_drop(id, url)
        return True

    def _is_result(self, connection: Connection, id: str, owner: str) -> bool:
        import sqlalchemy as sa

        said = sa.cast(jobs.c.results, sa.Text).contains(id)
        query = sa.select(jobs.c.id).where(jobs.c.owner == owner, said)
        return connection.execute(query.limit(1)).first() is not None

    def _records(self) -> int:
        """Answers kept for repeated requests, and deliveries that are over."""
        moment = self._clock()
        old = webhook_deliveries.c.created_at < moment - self._settings.retain_jobs
        return self._delete(idempotency, idempotency.c.created_at < moment - IDEMPOTENCY) + self._delete(
            webhook_deliveries, webhook_deliveries.c.status != "waiting", old
        )

    def _lone_blobs(self) -> int:
        """Contents that are nobody's, should there ever be one."""
        import sqlalchemy as sa

        lone = sa.select(blobs.c.sha256).where(~sa.exists().where(assets.c.id == blobs.c.sha256))
        with self._database.read() as connection:
            found = connection.execute(lone.limit(PIECE)).scalars().all()
        for sha256 in found:
            with self._database.begin() as connection:
                self._assets.blobs.lock(connection, sha256)
                url = self._assets.blobs.release(connection, sha256)
            self._assets.finish_drop(sha256, url)
        return len(found)

    def _delete(self, table: Any, *conditions: ColumnElement[bool]) -> int:
        import sqlalchemy as sa

        with self._database.begin() as connection:
            return int(connection.execute(sa.delete(table).where(*conditions)).rowcount)

    def _in_pieces(self, work: Callable[[Connection], int]) -> int:
        total = 0
        while True:
            with self._database.begin() as connection:
                done = work(connection)
            total += done
            if done < PIECE:
                return total

    def _lock(self) -> bool:
        """Become the one that sweeps."""
        import sqlalchemy as sa

        moment = self._clock()
        with self._database.begin() as connection:
            if insert_new(connection, locks, {"name": LOCK, "held_until": moment + LONGEST}):
                return True
            free = sa.update(locks).where(locks.c.name == LOCK, locks.c.held_until < moment)
            return bool(connection.execute(free.values(held_until=moment + LONGEST)).rowcount)

    def _unlock(self) -> None:
        import sqlalchemy as sa

        with self._database.begin() as connection:
            connection.execute(sa.delete(locks).where(locks.c.name == LOCK))
