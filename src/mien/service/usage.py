"""What each owner uses, by day (UTC): requests, jobs, bytes, seconds of work. Kept when jobs are deleted."""

from __future__ import annotations

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import cache
from typing import TYPE_CHECKING, Any

from mien.db import Database

if TYPE_CHECKING:
    from sqlalchemy import Connection, Insert

DAY = 24 * 3600.0


@dataclass(frozen=True, slots=True)
class DayOfUse:
    """What was used on one day."""

    day: str
    amounts: Mapping[str, float]


class Usage:
    """Adds up what is used. Shared by any number of threads."""

    def __init__(self, database: Database, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._clock = clock
        self._lock = threading.Lock()
        self._waiting: Counter[tuple[str, str, str]] = Counter()

    def note(self, owner: str, **amounts: float) -> None:
        """Remember what was used until ``flush`` writes it; for what happens with every request."""
        day = day_of(self._clock())
        with self._lock:
            for what, amount in amounts.items():
                self._waiting[owner, day, what] += amount  # type: ignore[assignment]  # amounts need not be whole

    def flush(self) -> None:
        """Write what ``note`` remembers. Raises DatabaseUnavailable, and remembers it still."""
        with self._lock:
            waiting, self._waiting = self._waiting, Counter()
        if not waiting:
            return
        try:
            with self._database.begin() as connection:
                # In the order of the keys, so that two processes cannot wait for each other's rows.
                for (owner, day, what), amount in sorted(waiting.items()):
                    self._add(connection, owner, day, what, amount)
        except BaseException:
            with self._lock:
                self._waiting.update(waiting)
            raise

    def add(self, connection: Connection, owner: str, **amounts: float) -> None:
        """Write what was used in a transaction of the caller's, so that it counts if and only if that does."""
        day = day_of(self._clock())
        for what, amount in sorted(amounts.items()):
            self._add(connection, owner, day, what, amount)

    def today(self, connection: Connection, owner: str, what: str) -> float:
        """What an owner has used today."""
        import sqlalchemy as sa

        from mien.db.tables import usage

        query = sa.select(usage.c.amount).where(
            usage.c.owner == owner, usage.c.day == day_of(self._clock()), usage.c.what == what
        )
        return connection.execute(query).scalar() or 0.0

    def days(self, owner: str, count: int = 30) -> list[DayOfUse]:
        """What an owner has used on the last days, the newest first; days without use are left out."""
        import sqlalchemy as sa

        from mien.db.tables import usage

        self.flush()
        first = day_of(self._clock() - (count - 1) * DAY)
        query = sa.select(usage).where(usage.c.owner == owner, usage.c.day >= first)
        found: dict[str, dict[str, float]] = {}
        with self._database.read() as connection:
            for row in connection.execute(query.order_by(usage.c.day.desc(), usage.c.what)).mappings():
                found.setdefault(row["day"], {})[row["what"]] = row["amount"]
        return [DayOfUse(day, amounts) for day, amounts in found.items()]

    def seconds_left(self) -> float:
        """Seconds until the next day begins."""
        moment = datetime.fromtimestamp(self._clock(), UTC)
        tomorrow = (moment + timedelta(days=1)).replace(hour=0, minute=0, second=0, microsecond=0)
        return (tomorrow - moment).total_seconds()

    def _add(self, connection: Connection, owner: str, day: str, what: str, amount: float) -> None:
        values = {"owner": owner, "day": day, "what": what, "amount": amount}
        connection.execute(_adding(self._database.is_sqlite), values)


@cache
def _adding(is_sqlite: bool) -> Insert:
    """Adds to an amount, or begins one. Made once, to save time."""
    from sqlalchemy.dialects import postgresql, sqlite

    from mien.db.tables import usage

    # The same words of two dialects, whose classes have no common name.
    statement: Any = (sqlite if is_sqlite else postgresql).insert(usage)
    adding: Insert = statement.on_conflict_do_update(
        index_elements=[usage.c.owner, usage.c.day, usage.c.what],
        set_={"amount": usage.c.amount + statement.excluded.amount},
    )
    return adding


def day_of(moment: float) -> str:
    """The day of a moment, such as 2026-11-21."""
    return datetime.fromtimestamp(moment, UTC).strftime("%Y-%m-%d")
