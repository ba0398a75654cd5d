"""How many requests in which time: the generic cell rate algorithm, on the database that all processes share.

Each request moves a moment (the theoretical arrival time) ahead by a minute divided by the limit; requests whose
moment would lie more than a minute ahead are refused. So a whole minute's requests may come at once, and then as many
as time allows. A process takes requests from the database several at a time, a fiftieth of a minute's, and spends
them itself, so that most requests do not touch the database.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from mien.db import Database
from mien.errors import RateLimited

MINUTE: Final = 60.0
SHARE: Final = 50
"""A process takes a minute's requests in this many portions."""
KEEP: Final = 5.0
"""Seconds after which a portion that was not spent is worth nothing: the minute has moved on."""
_MOST: Final = 10_000
_ROUNDING: Final = 1e-3
"""Seconds, so that a limit of n lets n pass: moments are large numbers, and their sums are not exact."""


@dataclass(slots=True)
class _Portion:
    left: int
    until: float
    refused_until: float = 0.0


class Rates:
    """Counts requests by name. Shared by any number of threads."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._portions: dict[str, _Portion] = {}

    def spend_here(self, name: str) -> bool:
        """Count a request without asking the database; False when it has to be asked. Raises RateLimited."""
        moment = self._clock()
        with self._lock:
            portion = self._portions.get(name)
            if portion is None:
                return False
            if portion.refused_until > moment:
                raise _refused(portion.refused_until - moment)
            if portion.left < 1 or portion.until < moment:
                return False
            portion.left -= 1
            return True

    def spend(self, name: str, per_minute: float) -> None:
        """Count a request. Raises RateLimited, with the seconds after which there is room for one."""
        if self.spend_here(name):
            return
        moment, cell = self._clock(), MINUTE / per_minute
        wanted = max(1, int(per_minute / SHARE))
        wait = self._take(name, moment, wanted * cell)
        if wait > 0 and wanted > 1:
            wanted, wait = 1, self._take(name, moment, cell)
        with self._lock:
            if len(self._portions) >= _MOST:
                self._portions.clear()
            self._portions[name] = _Portion(wanted - 1, moment + KEEP, moment + wait if wait > 0 else 0.0)
        if wait > 0:
            raise _refused(wait)

    def prune(self) -> None:
        """Forget names that have all their room again."""
        import sqlalchemy as sa

        from mien.db.tables import rate_limits

        with self._database.begin() as connection:
            connection.execute(sa.delete(rate_limits).where(rate_limits.c.free_at < self._clock()))

    def _take(self, name: str, moment: float, span: float) -> float:
        """Move the moment of ``name`` ahead by ``span``; the seconds to wait when it lies too far ahead already."""
        import sqlalchemy as sa
        from sqlalchemy.dialects import postgresql, sqlite

        from mien.db.tables import rate_limits

        kind = sqlite if self._database.is_sqlite else postgresql
        old = sa.case((rate_limits.c.free_at > moment, rate_limits.c.free_at), else_=moment)
        room = moment + max(MINUTE, span) + 1e-3
        statement = (
            kind.insert(rate_limits)
            .values(key=name, free_at=moment + span)
            .on_conflict_do_update(
                index_elements=[rate_limits.c.key], set_={"free_at": old + span}, where=old + span <= room
            )
            .returning(rate_limits.c.free_at)
        )
        with self._database.begin() as connection:
            if connection.execute(statement).first() is not None:
                return 0.0
            query = sa.select(rate_limits.c.free_at).where(rate_limits.c.key == name)
            ahead: float = connection.execute(query).scalar_one()
        return max(ahead + span - room, 0.001)


def _refused(seconds: float) -> RateLimited:
    wait = max(1, round(seconds + 0.499))
    return RateLimited(
        f"Too many requests were sent; wait {wait} second{'s' if wait > 1 else ''}.", max(seconds, 0.001)
    )
