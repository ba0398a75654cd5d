"""Which task is lent next, and which was lent to somebody of whom nothing is heard."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mien.jobs.queries import JobQueries
from mien.jobs.rows import JobRow, row_of
from mien.service.stages import can_be_lent

if TYPE_CHECKING:
    from sqlalchemy import ColumnElement

PAGE: Final = 50
"""Tasks that are looked at in one query, after the first."""


@dataclass(frozen=True)
class LeaseQueue:
    """Looks for tasks; changes none. Raises DatabaseUnavailable."""

    store: JobQueries

    def due(self, environments: Sequence[str], owner: str | None) -> JobRow | None:
        """The first that waits in one of these environments, or whose worker is silent; None when there is none."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        clock = self.store.database.clock
        waits = sa.and_(
            jobs.c.status == "queued", sa.or_(jobs.c.not_before.is_(None), jobs.c.not_before <= clock)
        )
        found = [
            sa.or_(waits, self._is_silent()),
            jobs.c.workflow.is_not(None),
            jobs.c.environment.in_(list(environments)),
        ]
        if owner is not None:
            found.append(jobs.c.owner == owner)
        return next((row for row in self._rows(found) if row.cancel_requested or can_be_lent(row)), None)

    def silent(self) -> JobRow | None:
        """One of whose worker nothing was heard for too long, or that was canceled while it was handed back."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        unwanted = sa.and_(jobs.c.status == "queued", jobs.c.cancel_requested, jobs.c.workflow.is_not(None))
        return next(self._rows([sa.or_(self._is_silent(), unwanted)]), None)

    def _is_silent(self) -> ColumnElement[bool]:
        import sqlalchemy as sa

        from mien.db.tables import jobs

        over = jobs.c.lease_until < self.store.database.clock
        return sa.and_(jobs.c.status == "running", jobs.c.lease_token.is_not(None), over)

    def _rows(self, wanted: Sequence[ColumnElement[bool]]) -> Iterator[JobRow]:
        """All such tasks, in the order in which they are due."""
        import sqlalchemy as sa

        from mien.db.tables import jobs

        query = sa.select(jobs).where(*wanted).order_by(jobs.c.priority, jobs.c.seq)
        size = 1  # which is nearly always the one that is wanted
        while True:
            with self.store.database.read() as connection:
                found = [row_of(row) for row in connection.execute(query.limit(size)).mappings()]
            yield from found
            if len(found) < size:
                return
            last = (found[-1].priority, found[-1].seq)
            query, size = query.where(sa.tuple_(jobs.c.priority, jobs.c.seq) > last), PAGE
