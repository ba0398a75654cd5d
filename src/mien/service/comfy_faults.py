"""Tells the processes of a service which ComfyUI instances get no work for a while, through the database."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from mien.comfyui import Environments
from mien.comfyui.sharing import Fault, News
from mien.db import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection

EVERY: Final = 1.0
"""Seconds between two looks, each one query where nothing has happened here."""
LONGEST: Final = 500
"""Characters of a reason."""


@dataclass(frozen=True)
class ComfyFaults:
    """Exchanges what instances lack and why they get no work. Raises DatabaseUnavailable."""

    database: Database
    environments: Environments

    def exchange(self) -> None:
        """Write what was found out here since the last time, and hear what all know."""
        news = self.environments.news()
        if news:
            with self.database.begin() as connection:
                self._write(connection, news)
        self.environments.hear(self._known())

    def _write(self, connection: Connection, news: News) -> None:
        import sqlalchemy as sa

        from mien.db.tables import comfy_faults as table
        from mien.service.blobs import insert_new

        clock = self.database.clock
        connection.execute(sa.delete(table).where(table.c.until < clock))
        for url, what in news.over:
            connection.execute(sa.delete(table).where(table.c.instance == url, table.c.what == what))
        for fault in news.faults:
            key = {"instance": fault.url, "what": fault.what}
            values = {"reason": fault.reason[:LONGEST], "until": clock + fault.left}
            if not insert_new(connection, table, {**key, **values}):
                same = (table.c.instance == fault.url, table.c.what == fault.what)
                connection.execute(sa.update(table).where(*same).values(**values))

    def _known(self) -> Sequence[Fault]:
        import sqlalchemy as sa

        from mien.db.tables import comfy_faults as table

        left = (table.c.until - self.database.clock).label("left")
        query = sa.select(table.c.instance, table.c.what, table.c.reason, left).where(left > 0)
        with self.database.read() as connection:
            return [Fault(*row) for row in connection.execute(query)]
