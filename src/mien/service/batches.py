"""Batches: many jobs that are asked for, looked at, canceled and fetched as one."""

from __future__ import annotations

import re
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING, Any, Final

from mien.db import Database
from mien.errors import InputError, JobError, JobExists, NotFound, OptionError
from mien.jobs.database import DatabaseStore
from mien.jobs.job import JobStep, Status
from mien.jobs.rows import ENDED, JobRow
from mien.service.callers import Caller
from mien.service.checking import Place
from mien.service.problems import Problems
from mien.service.requests import BatchRequest, StepRequest
from mien.service.submitting import Submissions

if TYPE_CHECKING:
    from sqlalchemy import Connection, RowMapping

ACTIVE: Final[tuple[Status, ...]] = ("drafted", "queued", "running")
PAGE: Final = 200
"""Jobs that are looked at in one query."""
_ID: Final = re.compile("batch_[0-9A-Za-z]{1,80}")


@dataclass(frozen=True, slots=True)
class BatchRow:
    """One batch. ``created_at`` in seconds since 1970."""

    id: str
    owner: str
    total: int
    created_at: float


@dataclass(frozen=True)
class Batches:
    """The batches of a database. Somebody else's batch is NotFound."""

    database: Database
    store: DatabaseStore
    submissions: Submissions

    def create(self, request: BatchRequest, caller: Caller, seed: str) -> tuple[BatchRow, list[str]]:
        """Store all jobs of a batch, or none; the batch and the ids of its jobs.

        Raises what the checker finds wrong with any of them, and what limits raise.
        """
        id = f"batch_{seed}"
        steps = self._steps(request, caller)
        new = [
            self.submissions.new_job(request, [step], caller, _job_id(seed, number), batch=id)
            for number, step in enumerate(steps)
        ]
        batch = BatchRow(id, caller.owner, len(new), time.time())
        try:
            self.submissions.insert(new, caller, lambda connection: _insert(connection, batch))
        except JobExists:
            batch = self.get(id, caller.owner)
        return batch, [item.job.id for item in new]

    def get(self, id: str, owner: str) -> BatchRow:
        """One batch; raises NotFound."""
        import sqlalchemy as sa

        from mien.db.tables import batches

        query = sa.select(batches).where(batches.c.id == id, batches.c.owner == owner)
        with self.database.read() as connection:
            found = connection.execute(query).mappings().first()
        if found is None:
            raise NotFound(f"There is no batch {id[:80]}.")
        return _row(found)

    def page(
        self, owner: str, before: str | None = None, limit: int = 50
    ) -> tuple[list[BatchRow], str | None]:
        """The newest batches first, and the cursor of the next page. Raises OptionError for a cursor that is none."""
        import sqlalchemy as sa

        from mien.db.tables import batches

        query = sa.select(batches).where(batches.c.owner == owner)
        if before is not None:
            query = query.where(sa.tuple_(batches.c.created_at, batches.c.id) < _cursor(before))
        query = query.order_by(batches.c.created_at.desc(), batches.c.id.desc()).limit(limit + 1)
        with self.database.read() as connection:
            found = [_row(row) for row in connection.execute(query).mappings()]
        last = found[limit - 1] if len(found) > limit else None
        return found[:limit], None if last is None else f"{last.created_at!r}-{last.id}"

    def counts(self, id: str) -> dict[Status, int]:
        """Jobs of a batch by state."""
        with self.database.read() as connection:
            return counts_in(connection, id)

    def cancel(self, id: str, caller: Caller) -> BatchRow:
        """Cancel every job that has not ended."""
        batch = self.get(id, caller.owner)
        for row in self.rows(batch, ACTIVE):
            try:
                self.submissions.cancel(row.id, caller)
            except JobError:
                continue  # it ended meanwhile
        return batch

    def rows(self, batch: BatchRow, statuses: Sequence[Status] = ()) -> Iterator[JobRow]:
        """The jobs of a batch in these states, newest first, read page by page."""
        before: int | None = None
        while True:
            found, before = self.store.page(
                owner=batch.owner, batch=batch.id, statuses=statuses, before=before, limit=PAGE
            )
            yield from found
            if before is None:
                return

    def forget(self, batch: BatchRow) -> None:
        """Remove the batch itself, once its jobs are gone."""
        import sqlalchemy as sa

        from mien.db.tables import batches

        with self.database.begin() as connection:
            connection.execute(sa.delete(batches).where(batches.c.id == batch.id))

    def _steps(self, request: BatchRequest, caller: Caller) -> list[JobStep]:
        sources = request.sources or [[]]
        total = len(sources) * len(request.targets) * len(request.settings)
        most = self.submissions.settings.max_batch
        if total > most:
            raise InputError(f"The batch has {total} jobs; the service takes at most {most} in one.")
        look, checker = self.submissions.look(caller), self.submissions.checker
        found = []
        for (a, group), (b, target), (c, settings) in product(
            enumerate(sources), enumerate(request.targets), enumerate(request.settings)
        ):
            several = [group] if isinstance(group, str) else group
            wish = StepRequest(sources=several, target=target, **dict(settings))
            wrong = Problems()
            step = checker.checked_step(wish, _place(a, b, c), (), request.consent_ref, look, wrong)
            _refuse(wrong, {f"sources.{a}.0": f"sources.{a}"} if isinstance(group, str) else {})
            found.append(step)
        checker.check_consent(found)
        return found


def _place(source: int, target: int, settings: int) -> Place:
    """Where the fields of a job's step stand in the batch."""

    def at(name: str) -> str:
        if name == "sources":
            return f"sources.{source}"
        return f"targets.{target}" if name == "target" else f"settings.{settings}.{name}"

    return at


def _refuse(wrong: Problems, names: Mapping[str, str]) -> None:
    """Raise what is wrong with one job of a batch, since it is wrong with many; ``names`` are other words of fields."""
    problems = Problems()
    problems.take(wrong, lambda field: names.get(field, field))
    problems.refuse()


def counts_in(connection: Connection, id: str) -> dict[Status, int]:
    """Jobs of a batch by state, within a transaction."""
    import sqlalchemy as sa

    from mien.db.tables import jobs

    query = sa.select(jobs.c.status, sa.func.count()).where(jobs.c.batch == id).group_by(jobs.c.status)
    return {row[0]: row[1] for row in connection.execute(query)}


def has_ended(counts: Mapping[Status, int]) -> bool:
    """Whether every job of a batch has ended."""
    return all(status in ENDED for status, count in counts.items() if count)


def _insert(connection: Connection, batch: BatchRow) -> None:
    import sqlalchemy as sa

    from mien.db.tables import batches

    values: dict[str, Any] = {"id": batch.id, "owner": batch.owner, "total": batch.total, "request": {}}
    connection.execute(sa.insert(batches).values(**values, created_at=batch.created_at))


def _job_id(seed: str, number: int) -> str:
    """Ids of the jobs of a batch: as unguessable as that of the batch, and the same for every try."""
    return f"job_{seed}{number:04d}"


def _row(found: RowMapping) -> BatchRow:
    return BatchRow(found["id"], found["owner"], found["total"], found["created_at"])


def _cursor(text: str) -> tuple[float, str]:
    moment, dash, id = text.rpartition("-")
    try:
        if dash and _ID.fullmatch(id):
            return float(moment), id
    except ValueError:
        pass
    raise OptionError("The cursor is none that was given out; leave it away to begin at the newest.")
