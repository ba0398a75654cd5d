"""Which processes of the service live: each says so every few seconds, by the database's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from mien.db import Database


@dataclass(frozen=True, slots=True)
class Executor:
    """A process of the service. Moments are seconds since 1970."""

    id: str
    role: str
    seen_at: float
    started_at: float
    info: Mapping[str, Any]
    """Host, process number, queues, devices, models, memory."""

    def serves(self, queue: str) -> bool:
        """Whether the process works on tasks of that queue."""
        return queue in self.info.get("queues", ())


class Executors:
    """The list of processes. Raises DatabaseUnavailable."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def begin(self, id: str, role: str, info: Mapping[str, Any]) -> None:
        """Note a process that has just started."""
        import sqlalchemy as sa

        from mien.db.tables import executors

        clock = self._database.clock
        with self._database.begin() as connection:
            connection.execute(sa.delete(executors).where(executors.c.id == id))
            values = {"id": id, "role": role, "info": dict(info), "seen_at": clock, "started_at": clock}
            connection.execute(sa.insert(executors).values(**values))

    def beat(self, id: str, info: Mapping[str, Any] | None = None) -> bool:
        """Note that a process lives, and what it says of itself now; False when it is not in the list any more."""
        import sqlalchemy as sa

        from mien.db.tables import executors

        own = executors.c.id == id
        with self._database.begin() as connection:
            values = {"seen_at": self._database.clock} | ({} if info is None else {"info": dict(info)})
            done = connection.execute(sa.update(executors).where(own).values(**values))
            return bool(done.rowcount)

    def end(self, id: str) -> None:
        """Take a process off the list."""
        import sqlalchemy as sa

        from mien.db.tables import executors

        with self._database.begin() as connection:
            connection.execute(sa.delete(executors).where(executors.c.id == id))

    def live(self, within: float) -> tuple[Executor, ...]:
        """The processes that were heard of in the last ``within`` seconds."""
        import sqlalchemy as sa

        from mien.db.tables import executors

        query = sa.select(executors).where(executors.c.seen_at > self._database.clock - within)
        with self._database.read() as connection:
            return tuple(Executor(**row) for row in connection.execute(query).mappings())

    def forget(self, silent_for: float) -> None:
        """Take processes off the list that died long ago."""
        import sqlalchemy as sa

        from mien.db.tables import executors

        with self._database.begin() as connection:
            old = executors.c.seen_at < self._database.clock - silent_for
            connection.execute(sa.delete(executors).where(old))
